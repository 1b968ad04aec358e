/** libcublasLt: descriptors of products, matrix layouts and preferences. */
#include "descriptors.h"

#include "library.h"

namespace cuda_on_cpu {
namespace {

const Attribute NONE = {0, 0};
const Attribute NUMBER = {4, 0};
const Attribute LONG_NUMBER = {8, 0};
const Attribute POINTER = {8, 0};

const std::vector<Attribute> MATMUL_ATTRIBUTES = {
    NUMBER,       // 0 COMPUTE_TYPE
    NUMBER,       // 1 SCALE_TYPE
    NUMBER,       // 2 POINTER_MODE
    NUMBER,       // 3 TRANSA
    NUMBER,       // 4 TRANSB
    NUMBER,       // 5 TRANSC
    {4, 2},       // 6 FILL_MODE: full
    {4, 1},       // 7 EPILOGUE: default
    POINTER,      // 8 BIAS_POINTER
    NONE,         // 9
    LONG_NUMBER,  // 10 BIAS_BATCH_STRIDE
    POINTER,      // 11 EPILOGUE_AUX_POINTER
    LONG_NUMBER,  // 12 EPILOGUE_AUX_LD
    LONG_NUMBER,  // 13 EPILOGUE_AUX_BATCH_STRIDE
    LONG_NUMBER,  // 14 ALPHA_VECTOR_BATCH_STRIDE
    NUMBER,       // 15 SM_COUNT_TARGET
    NUMBER,       // 16, not in the header, but accepted
    POINTER,      // 17 A_SCALE_POINTER
    POINTER,      // 18 B_SCALE_POINTER
    POINTER,      // 19 C_SCALE_POINTER
    POINTER,      // 20 D_SCALE_POINTER
    POINTER,      // 21 AMAX_D_POINTER
    {4, -1},      // 22 EPILOGUE_AUX_DATA_TYPE
    POINTER,      // 23 EPILOGUE_AUX_SCALE_POINTER
    POINTER,      // 24 EPILOGUE_AUX_AMAX_POINTER
    {1, 0},       // 25 FAST_ACCUM
    {4, -1},      // 26 BIAS_DATA_TYPE
    NONE,         // 27
    NONE,         // 28
    NONE,         // 29
    NONE,         // 30
    NUMBER,       // 31 A_SCALE_MODE
    NUMBER,       // 32 B_SCALE_MODE
    NUMBER,       // 33 C_SCALE_MODE
    NUMBER,       // 34 D_SCALE_MODE
    NUMBER,       // 35 EPILOGUE_AUX_SCALE_MODE
    POINTER,      // 36 D_OUT_SCALE_POINTER
    NUMBER,       // 37 D_OUT_SCALE_MODE
    POINTER,      // 38 EMULATION_DESCRIPTOR
};

const std::vector<Attribute> LAYOUT_ATTRIBUTES = {
    NUMBER,       // 0 TYPE
    NUMBER,       // 1 ORDER
    LONG_NUMBER,  // 2 ROWS
    LONG_NUMBER,  // 3 COLS
    LONG_NUMBER,  // 4 LD
    {4, 1},       // 5 BATCH_COUNT
    LONG_NUMBER,  // 6 STRIDED_BATCH_OFFSET
    LONG_NUMBER,  // 7 PLANE_OFFSET
    NUMBER,       // 8 BATCH_MODE
};

const std::vector<Attribute> PREFERENCE_ATTRIBUTES = {
    NUMBER,       // 0 SEARCH_MODE
    LONG_NUMBER,  // 1 MAX_WORKSPACE_BYTES
    NONE,         // 2
    {4, 7},       // 3 REDUCTION_SCHEME_MASK
    NONE,         // 4
    {4, 256},     // 5 MIN_ALIGNMENT_A_BYTES
    {4, 256},     // 6 MIN_ALIGNMENT_B_BYTES
    {4, 256},     // 7 MIN_ALIGNMENT_C_BYTES
    {4, 256},     // 8 MIN_ALIGNMENT_D_BYTES
    NUMBER,       // 9 MAX_WAVES_COUNT, a float
    NONE,         // 10
    NONE,         // 11
    {8, -1},      // 12 IMPL_MASK
};

Handles<Descriptor> matmuls("matmul descriptor", 0x70000000);
Handles<Descriptor> layouts("matrix layout", 0x78000000);
Handles<Descriptor> preferences("matmul preference", 0x7c000000);

std::shared_ptr<Descriptor> created(const std::vector<Attribute> &attributes, void **handle) {
  if (!handle) refuse(CUBLAS_INVALID_VALUE, "the result is null");
  return std::make_shared<Descriptor>(attributes);
}

/** To destroy nothing is allowed. */
void destroy(Handles<Descriptor> &descriptors, void *handle) {
  if (handle) descriptors.destroy(handle, CUBLAS_INVALID_VALUE);
}

}  // namespace

Descriptor::Descriptor(const std::vector<Attribute> &attributes) : attributes_(attributes) {
  for (const Attribute &attribute : attributes) values_.push_back(attribute.initial);
}

unsigned Descriptor::bytes_of(int attribute) const {
  const bool exists = attribute >= 0 && attribute < (int)attributes_.size() && attributes_[attribute].bytes > 0;
  if (!exists) refuse(CUBLAS_INVALID_VALUE, "there is no attribute %d", attribute);
  return attributes_[attribute].bytes;
}

void Descriptor::set(int attribute, const void *value, size_t bytes) {
  const unsigned expected = bytes_of(attribute);
  if (bytes != expected) {
    refuse(CUBLAS_INVALID_VALUE, "attribute %d has %u bytes, not %zu", attribute, expected, bytes);
  }
  if (!value) refuse(CUBLAS_INVALID_VALUE, "the value of attribute %d is null", attribute);
  if (bytes == 1) {
    values_[attribute] = *static_cast<const int8_t *>(value);
  } else if (bytes == 4) {
    int32_t number;
    memcpy(&number, value, 4);
    values_[attribute] = number;
  } else {
    memcpy(&values_[attribute], value, 8);
  }
}

void Descriptor::get(int attribute, void *value, size_t bytes, size_t *bytes_written) const {
  const unsigned expected = bytes_of(attribute);
  if (bytes != 0 && bytes != expected) {
    refuse(CUBLAS_INVALID_VALUE, "attribute %d has %u bytes, not %zu", attribute, expected, bytes);
  }
  if (bytes && !value) refuse(CUBLAS_INVALID_VALUE, "the place for attribute %d is null", attribute);
  if (!bytes && !bytes_written) refuse(CUBLAS_INVALID_VALUE, "the place for the size of attribute %d is null", attribute);
  // Little-endian: the low bytes come first.
  if (bytes) memcpy(value, &values_[attribute], bytes);
  if (bytes_written) *bytes_written = expected;
}

std::vector<int> Descriptor::changed() const {
  std::vector<int> numbers;
  for (int i = 0; i < (int)values_.size(); i++) {
    if (values_[i] != attributes_[i].initial) numbers.push_back(i);
  }
  return numbers;
}

std::shared_ptr<Descriptor> matmul_descriptor(const void *handle) { return matmuls.get(handle, CUBLAS_INVALID_VALUE); }
std::shared_ptr<Descriptor> layout_descriptor(const void *handle) { return layouts.get(handle, CUBLAS_INVALID_VALUE); }
std::shared_ptr<Descriptor> preference_descriptor(const void *handle) {
  return preferences.get(handle, CUBLAS_INVALID_VALUE);
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

EXPORTED int cublasLtMatmulDescCreate(void **handle, int compute_type, int scale_type) {
  return call(__func__, [&] {
    const auto descriptor = created(MATMUL_ATTRIBUTES, handle);
    descriptor->assign(COMPUTE_TYPE, compute_type);
    descriptor->assign(SCALE_TYPE, scale_type);
    *handle = matmuls.add(descriptor);
  });
}

EXPORTED int cublasLtMatmulDescSetAttribute(void *handle, int attribute, const void *value, size_t bytes) {
  return call(__func__, [&] { matmul_descriptor(handle)->set(attribute, value, bytes); });
}

EXPORTED int cublasLtMatmulDescGetAttribute(void *handle, int attribute, void *value, size_t bytes, size_t *written) {
  return call(__func__, [&] { matmul_descriptor(handle)->get(attribute, value, bytes, written); });
}

EXPORTED int cublasLtMatmulDescDestroy(void *handle) {
  return call(__func__, [&] { destroy(matmuls, handle); });
}

EXPORTED int cublasLtMatrixLayoutCreate(void **handle, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  return call(__func__, [&] {
    const auto descriptor = created(LAYOUT_ATTRIBUTES, handle);
    descriptor->assign(TYPE, type);
    descriptor->assign(ROWS, (int64_t)rows);
    descriptor->assign(COLS, (int64_t)columns);
    descriptor->assign(LD, ld);
    *handle = layouts.add(descriptor);
  });
}

EXPORTED int cublasLtMatrixLayoutSetAttribute(void *handle, int attribute, const void *value, size_t bytes) {
  return call(__func__, [&] { layout_descriptor(handle)->set(attribute, value, bytes); });
}

EXPORTED int cublasLtMatrixLayoutGetAttribute(void *handle, int attribute, void *value, size_t bytes, size_t *written) {
  return call(__func__, [&] { layout_descriptor(handle)->get(attribute, value, bytes, written); });
}

EXPORTED int cublasLtMatrixLayoutDestroy(void *handle) {
  return call(__func__, [&] { destroy(layouts, handle); });
}

EXPORTED int cublasLtMatmulPreferenceCreate(void **handle) {
  return call(__func__, [&] { *handle = preferences.add(created(PREFERENCE_ATTRIBUTES, handle)); });
}

EXPORTED int cublasLtMatmulPreferenceSetAttribute(void *handle, int attribute, const void *value, size_t bytes) {
  return call(__func__, [&] { preference_descriptor(handle)->set(attribute, value, bytes); });
}

EXPORTED int cublasLtMatmulPreferenceGetAttribute(void *handle, int attribute, void *value, size_t bytes,
                                                  size_t *written) {
  return call(__func__, [&] { preference_descriptor(handle)->get(attribute, value, bytes, written); });
}

EXPORTED int cublasLtMatmulPreferenceDestroy(void *handle) {
  return call(__func__, [&] { destroy(preferences, handle); });
}
