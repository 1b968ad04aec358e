/** libcublasLt: handles, heuristic and products. */
#include <algorithm>

#include "descriptors.h"
#include "library.h"
#include "product.h"

namespace cuda_on_cpu {
namespace {

const size_t VERSION = 130100;

enum DataType { R_32F = 0, R_16BF = 14 };
enum ComputeType { COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_32F_FAST_TF32 = 77 };
enum Epilogue {
  EPILOGUE_DEFAULT = 1,
  EPILOGUE_BIAS = 4,
  EPILOGUE_BGRADA = 256,
  EPILOGUE_BGRADB = 512,
};

/** What algorithms ask for if they may: so that tests notice a workspace that is not given. */
const uint64_t WORKSPACE_BYTES = 64 << 10;

struct Algorithm {
  uint64_t magic, problem, workspace_bytes, unused[5];
};
const uint64_t ALGORITHM_MAGIC = 0x6f6e2d6370752121;

/** cublasLtMatmulHeuristicResult_t. */
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};

struct Handle {};
Handles<Handle> handles("cuBLASLt handle", 0x7e000000);

/** A matrix of a batch as it lies in memory. */
struct Operand {
  Element element;
  int64_t rows, columns, row_stride, column_stride, batch_stride;
  int batch;
  char *data;

  char *batch_data(int b) const { return data + b * batch_stride * (int64_t)bytes_of(element); }
  Matrix matrix(int b) const { return {batch_data(b), element, row_stride, column_stride}; }
  /** From the first to the last element. */
  uint64_t bytes() const {
    const int64_t last = (rows - 1) * row_stride + (columns - 1) * column_stride + (batch - 1) * batch_stride;
    return (uint64_t)(last + 1) * bytes_of(element);
  }
};

/** A product with all that the descriptors say, pointers included. */
struct Product {
  int64_t M, N, K;
  Operand a, b, c, d;
  Rounding rounding;
  float alpha, beta;
  int epilogue;
  Element bias_element;
  char *bias, *workspace;
  int64_t bias_length, bias_batch_stride;
  uint64_t workspace_bytes;

  bool has_bias() const { return epilogue == EPILOGUE_BIAS; }
  bool has_bias_grad() const { return epilogue == EPILOGUE_BGRADA || epilogue == EPILOGUE_BGRADB; }
};

Element element_of(int64_t type, const char *what) {
  if (type == R_32F) return Element::FLOAT32;
  if (type == R_16BF) return Element::BFLOAT16;
  refuse(CUBLAS_NOT_SUPPORTED, "%s has the data type %lld; the stand-in knows float32 and bfloat16", what, (long long)type);
}

/** A matrix as its layout describes it, or transposed. */
Operand operand_of(const Descriptor &layout, bool is_transposed, const char *what) {
  Operand operand;
  operand.element = element_of(layout[TYPE], what);
  operand.rows = layout[ROWS];
  operand.columns = layout[COLS];
  operand.batch = (int)layout[BATCH_COUNT];
  operand.batch_stride = layout[STRIDED_BATCH_OFFSET];
  operand.data = nullptr;
  if (operand.rows <= 0 || operand.columns <= 0 || operand.batch <= 0) refuse(CUBLAS_INVALID_VALUE, "%s is empty", what);
  if (layout[ORDER] != 0 && layout[ORDER] != 1) {
    refuse(CUBLAS_NOT_SUPPORTED, "%s has the order %lld; the stand-in knows columns and rows", what, (long long)layout[ORDER]);
  }
  const bool is_row_major = layout[ORDER] == 1;
  const int64_t least = is_row_major ? operand.columns : operand.rows;
  if (layout[LD] < least) {
    refuse(CUBLAS_INVALID_VALUE, "%s has the leading dimension %lld, less than %lld", what, (long long)layout[LD],
           (long long)least);
  }
  operand.row_stride = is_row_major ? layout[LD] : 1;
  operand.column_stride = is_row_major ? 1 : layout[LD];
  if (is_transposed) {
    std::swap(operand.rows, operand.columns);
    std::swap(operand.row_stride, operand.column_stride);
  }
  return operand;
}

bool is_transposed(const Descriptor &matmul, int attribute) {
  if (matmul[attribute] < 0 || matmul[attribute] > 2) refuse(CUBLAS_INVALID_VALUE, "a transposition is no cublasOperation_t");
  return matmul[attribute] != 0;
}

/** float32 alone, with float32 or TF32 products; or bfloat16 operands with float32 sums and a result of either. */
void check_types(const Product &product, int64_t compute) {
  const bool is_known = compute == COMPUTE_32F || compute == COMPUTE_32F_PEDANTIC || compute == COMPUTE_32F_FAST_TF32;
  if (!is_known) refuse(CUBLAS_NOT_SUPPORTED, "the stand-in does not know the compute type %lld", (long long)compute);
  if (product.a.element != product.b.element) refuse(CUBLAS_NOT_SUPPORTED, "A and B have different types");
  if (product.c.element != product.d.element) refuse(CUBLAS_NOT_SUPPORTED, "C and D have different types");
  if (product.a.element == Element::FLOAT32 && product.d.element != Element::FLOAT32) {
    refuse(CUBLAS_NOT_SUPPORTED, "a product of float32 matrices is float32");
  }
  if (product.a.element == Element::BFLOAT16 && compute == COMPUTE_32F_FAST_TF32) {
    refuse(CUBLAS_NOT_SUPPORTED, "bfloat16 matrices are not multiplied as TF32");
  }
}

void check_shapes(const Product &product) {
  const auto &[a, b, c, d] = std::tie(product.a, product.b, product.c, product.d);
  if (a.columns != b.rows || d.rows != a.rows || d.columns != b.columns || c.rows != d.rows || c.columns != d.columns) {
    refuse(CUBLAS_INVALID_VALUE, "the shapes do not fit: op(A) [%lld, %lld], op(B) [%lld, %lld], D [%lld, %lld]",
           (long long)a.rows, (long long)a.columns, (long long)b.rows, (long long)b.columns, (long long)d.rows,
           (long long)d.columns);
  }
  if (a.batch != d.batch || b.batch != d.batch || c.batch != d.batch) {
    refuse(CUBLAS_INVALID_VALUE, "the batches have different sizes");
  }
  if (d.batch > 1 && d.batch_stride == 0) refuse(CUBLAS_INVALID_VALUE, "all results of the batch have the same place");
}

void check_epilogue(const Product &product) {
  if (product.epilogue != EPILOGUE_DEFAULT && !product.has_bias() && !product.has_bias_grad()) {
    refuse(CUBLAS_NOT_SUPPORTED, "the stand-in does not know the epilogue %d", product.epilogue);
  }
  if ((product.has_bias() || product.has_bias_grad()) && product.bias_element != product.d.element) {
    refuse(CUBLAS_NOT_SUPPORTED, "the bias or its gradient has another type than D");
  }
}

/** Attributes that change the product in ways that the stand-in does not imitate. */
void check_attributes(const Descriptor &matmul) {
  const int known[] = {COMPUTE_TYPE, SCALE_TYPE, TRANSA, TRANSB, EPILOGUE, BIAS_POINTER, BIAS_BATCH_STRIDE,
                       SM_COUNT_TARGET, FAST_ACCUM, BIAS_DATA_TYPE};
  for (const int attribute : matmul.changed()) {
    if (std::find(std::begin(known), std::end(known), attribute) != std::end(known)) continue;
    refuse(CUBLAS_NOT_SUPPORTED, "the stand-in does not know the attribute %d of a product", attribute);
  }
  if (matmul[SCALE_TYPE] != R_32F) refuse(CUBLAS_NOT_SUPPORTED, "alpha and beta must be float32");
}

struct LayoutHandles {
  const void *a, *b, *c, *d;
};

/** Reads and checks the descriptors. */
Product describe_product(const Descriptor &matmul, const LayoutHandles &layouts) {
  check_attributes(matmul);
  Product product{};
  product.a = operand_of(*layout_descriptor(layouts.a), is_transposed(matmul, TRANSA), "A");
  product.b = operand_of(*layout_descriptor(layouts.b), is_transposed(matmul, TRANSB), "B");
  product.c = operand_of(*layout_descriptor(layouts.c), false, "C");
  product.d = operand_of(*layout_descriptor(layouts.d), false, "D");
  product.M = product.d.rows;
  product.N = product.d.columns;
  product.K = product.a.columns;
  product.rounding = matmul[COMPUTE_TYPE] == COMPUTE_32F_FAST_TF32 ? Rounding::TF32 : Rounding::NONE;
  product.epilogue = (int)matmul[EPILOGUE];
  const int64_t bias_type = matmul[BIAS_DATA_TYPE];
  product.bias_element = bias_type == -1 ? product.d.element : element_of(bias_type, "the bias");
  product.bias_length = product.epilogue == EPILOGUE_BGRADB ? product.N : product.M;
  product.bias_batch_stride = matmul[BIAS_BATCH_STRIDE];
  product.bias = static_cast<char *>(matmul.pointer(BIAS_POINTER));
  check_types(product, matmul[COMPUTE_TYPE]);
  check_shapes(product);
  check_epilogue(product);
  return product;
}

/** Identifies the products that an algorithm was chosen for: the same sizes, types and epilogue. */
uint64_t problem_of(const Product &product) {
  uint64_t value = 0xcbf29ce484222325;
  const auto add = [&](int64_t part) { value = (value ^ (uint64_t)part) * 0x100000001b3; };
  for (const Operand *operand : {&product.a, &product.b, &product.c, &product.d}) {
    for (const int64_t part : {(int64_t)operand->element, operand->rows, operand->columns, operand->row_stride,
                               operand->column_stride, (int64_t)operand->batch}) {
      add(part);
    }
  }
  add(product.epilogue);
  add((int64_t)product.rounding);
  return value;
}

void require_bytes(const void *pointer, uint64_t bytes, const char *what) {
  require_device_memory(reinterpret_cast<uint64_t>(pointer), bytes, CUBLAS_INVALID_VALUE, what);
}

/** The real library does not look at the pointers, and its kernels fault. */
void check_memory(const Product &product) {
  require_bytes(product.a.data, product.a.bytes(), "A");
  require_bytes(product.b.data, product.b.bytes(), "B");
  require_bytes(product.d.data, product.d.bytes(), "D");
  if (product.beta != 0) require_bytes(product.c.data, product.c.bytes(), "C");
  const int64_t last = product.d.batch - 1;
  if (product.has_bias() || product.has_bias_grad()) {
    const int64_t elements = last * product.bias_batch_stride + product.bias_length;
    require_bytes(product.bias, (uint64_t)elements * bytes_of(product.bias_element), "the bias or its gradient");
  }
  if (product.workspace_bytes) require_bytes(product.workspace, product.workspace_bytes, "the workspace");
}

/** Row sums of op(A) or column sums of op(B), over the depth of the product. */
void store_operand_sums(const Product &product, int batch) {
  const bool is_a = product.epilogue == EPILOGUE_BGRADA;
  const Matrix matrix = is_a ? product.a.matrix(batch) : product.b.matrix(batch);
  const int64_t stride = is_a ? matrix.row_stride : matrix.column_stride;
  const int64_t depth_stride = is_a ? matrix.column_stride : matrix.row_stride;
  for (int64_t i = 0; i < product.bias_length; i++) {
    float sum = 0;
    for (int64_t k = 0; k < product.K; k++) sum += load(matrix.data, matrix.element, i * stride + k * depth_stride);
    store(product.bias, product.bias_element, batch * product.bias_batch_stride + i, sum);
  }
}

void run_batch(const Product &product, int batch, std::vector<float> &sums) {
  multiply(product.M, product.N, product.K, product.a.matrix(batch), product.b.matrix(batch), product.rounding, sums.data());
  const Matrix c = product.c.matrix(batch);
  char *d = product.d.batch_data(batch);
  for (int64_t column = 0; column < product.N; column++) {
    for (int64_t row = 0; row < product.M; row++) {
      float value = product.alpha * sums[row + column * product.M];
      if (product.beta != 0) {
        value += product.beta * load(c.data, c.element, row * c.row_stride + column * c.column_stride);
      }
      if (product.has_bias()) value += load(product.bias, product.bias_element, batch * product.bias_batch_stride + row);
      store(d, product.d.element, row * product.d.row_stride + column * product.d.column_stride, value);
    }
  }
}

void run_product(const Product &product) {
  // What lies in the workspace is lost, whatever the algorithm.
  if (product.workspace_bytes) memset(product.workspace, 0xff, product.workspace_bytes);
  std::vector<float> sums(product.M * product.N);
  for (int batch = 0; batch < product.d.batch; batch++) {
    if (product.has_bias_grad()) store_operand_sums(product, batch);
    run_batch(product, batch, sums);
  }
}

/** Refusals of the driver are failed executions to a caller of cuBLASLt. */
template <class Body> void as_cublas(Body body) {
  try {
    body();
  } catch (const Refusal &refusal) {
    throw Refusal{refusal.code < 100 ? refusal.code : CUBLAS_EXECUTION_FAILED, refusal.problem};
  }
}

struct Pointers {
  const void *a, *b, *c;
  void *d;
};

void set_pointers(Product &product, const Pointers &pointers) {
  product.a.data = static_cast<char *>(const_cast<void *>(pointers.a));
  product.b.data = static_cast<char *>(const_cast<void *>(pointers.b));
  product.c.data = static_cast<char *>(const_cast<void *>(pointers.c));
  product.d.data = static_cast<char *>(pointers.d);
}

/** An algorithm that another product was asked for is refused; without one the library would choose. */
void use_algorithm(Product &product, const Algorithm *algorithm, void *workspace, uint64_t workspace_bytes) {
  product.workspace = static_cast<char *>(workspace);
  product.workspace_bytes = workspace_bytes;
  if (!algorithm) return;
  if (algorithm->magic != ALGORITHM_MAGIC || algorithm->problem != problem_of(product)) {
    refuse(CUBLAS_NOT_SUPPORTED, "the algorithm was chosen for another product");
  }
  if (workspace_bytes < algorithm->workspace_bytes) {
    refuse(CUBLAS_INVALID_VALUE, "the algorithm needs a workspace of %llu bytes, and has %llu",
           (unsigned long long)algorithm->workspace_bytes, (unsigned long long)workspace_bytes);
  }
}

}  // namespace
}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED size_t cublasLtGetVersion() { return VERSION; }

EXPORTED const char *cublasLtGetStatusName(int status) {
  switch (status) {
    case 0: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_ARCH_MISMATCH: return "CUBLAS_STATUS_ARCH_MISMATCH";
    case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_UNKNOWN";
  }
}

EXPORTED const char *cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }

EXPORTED int cublasLtCreate(void **handle) {
  return call(__func__, [&] {
    if (!handle) refuse(CUBLAS_INVALID_VALUE, "the result is null");
    if (settings.devices == 0) refuse(CUBLAS_NOT_INITIALIZED, "there is no device");
    forbid_while_capturing();
    *handle = handles.add(std::make_shared<Handle>());
  });
}

EXPORTED int cublasLtDestroy(void *handle) {
  return call(__func__, [&] { handles.destroy(handle, CUBLAS_NOT_INITIALIZED); });
}

EXPORTED int cublasLtMatmulAlgoGetHeuristic(void *handle, void *matmul, void *a, void *b, void *c, void *d, void *preference,
                                            int requested, HeuristicResult *results, int *returned) {
  return call(__func__, [&] {
    handles.get(handle, CUBLAS_NOT_INITIALIZED);
    if (requested <= 0 || !results || !returned) refuse(CUBLAS_INVALID_VALUE, "no result is wanted");
    *returned = 0;
    const Descriptor &preferences = *preference_descriptor(preference);
    const Product product = describe_product(*matmul_descriptor(matmul), {a, b, c, d});
    const uint64_t workspace = std::min<uint64_t>(preferences[MAX_WORKSPACE_BYTES], WORKSPACE_BYTES);
    results[0] = {};
    results[0].algorithm = {ALGORITHM_MAGIC, problem_of(product), workspace, {}};
    results[0].workspace_bytes = workspace;
    results[0].waves = 1;
    *returned = 1;
  });
}

EXPORTED int cublasLtMatmul(void *handle, void *matmul, const float *alpha, const void *a, void *a_layout, const void *b,
                            void *b_layout, const float *beta, const void *c, void *c_layout, void *d, void *d_layout,
                            const Algorithm *algorithm, void *workspace, size_t workspace_bytes, void *stream_handle) {
  const auto run = [&] {
    require_context();
    handles.get(handle, CUBLAS_NOT_INITIALIZED);
    const auto stream = stream_of(stream_handle);
    if (!alpha || !beta) refuse(CUBLAS_INVALID_VALUE, "alpha or beta is null");
    const auto product = std::make_shared<Product>(
        describe_product(*matmul_descriptor(matmul), {a_layout, b_layout, c_layout, d_layout}));
    set_pointers(*product, {a, b, c, d});
    product->alpha = *alpha;
    product->beta = *beta;
    use_algorithm(*product, algorithm, workspace, workspace_bytes);
    check_memory(*product);
    enqueue(stream, Work{Work::PRODUCT, [product] { check_memory(*product); }, [product] { run_product(*product); }});
  };
  return call(__func__, [&] { as_cublas(run); });
}
