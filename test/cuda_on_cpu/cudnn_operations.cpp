/** libcudnn: what descriptors of tensors, operations and graphs must fulfil, and the graphs that they describe. */
#include <algorithm>
#include <set>

#include "cudnn.h"

namespace cuda_on_cpu::cudnn {
namespace {

const int CROSS_CORRELATION = 1, REDUCE_ADD = 0;

void check_tensor(const Descriptor &tensor) {
  const auto &dims = tensor.numbers(TENSOR_DIMENSIONS), &strides = tensor.numbers(TENSOR_STRIDES);
  if (dims.size() != strides.size()) refuse(STATUS_BAD_PARAM, "a tensor has %zu axes and %zu strides", dims.size(), strides.size());
  for (const int64_t length : dims) {
    if (length < 1) refuse(STATUS_BAD_PARAM, "a tensor is empty");
  }
  const int64_t type = tensor.number(TENSOR_DATA_TYPE);
  if (type != FLOAT && type != BFLOAT16) refuse(STATUS_NOT_SUPPORTED, "the stand-in does not know the data type %lld", (long long)type);
  const int64_t alignment = tensor.number(TENSOR_BYTE_ALIGNMENT);
  if (alignment <= 0 || alignment % (type == FLOAT ? 4 : 2)) {
    refuse(STATUS_BAD_PARAM, "a tensor has the alignment %lld, no multiple of its elements", (long long)alignment);
  }
  const bool is_by_value = tensor.has(TENSOR_IS_BY_VALUE) && tensor.number(TENSOR_IS_BY_VALUE);
  if (is_by_value && std::count(dims.begin(), dims.end(), 1) != (int64_t)dims.size()) {
    refuse(STATUS_BAD_PARAM, "a tensor by value has more than one element");
  }
}

Tensor tensor_of(const Descriptor &descriptor) {
  const auto flag = [&](int name) { return descriptor.has(name) && descriptor.number(name); };
  return {descriptor.number(TENSOR_UNIQUE_ID),
          descriptor.number(TENSOR_BYTE_ALIGNMENT),
          descriptor.number(TENSOR_DATA_TYPE) == FLOAT ? Element::FLOAT32 : Element::BFLOAT16,
          descriptor.numbers(TENSOR_DIMENSIONS),
          descriptor.numbers(TENSOR_STRIDES),
          flag(TENSOR_IS_VIRTUAL),
          flag(TENSOR_IS_BY_VALUE)};
}

/** The attributes of an operation that are its tensors, in the order of Operation::tensors. */
std::vector<int> tensor_attributes(const Descriptor &operation) {
  switch (operation.kind) {
    case OPERATION_POINTWISE: return operation.has(752) ? std::vector<int>{751, 752, 753} : std::vector<int>{751, 753};
    case OPERATION_MATMUL: return {1520, 1521, 1522};
    case OPERATION_REDUCTION: return {1610, 1611};
    case OPERATION_RESHAPE: return {2200, 2201};
    case OPERATION_SDPA_FWD: return {2800, 2801, 2802, 2805, 2803, 2804};
    case CONVOLUTION_FORWARD: return {704, 703, 705};
    case CONVOLUTION_BACKWARD_DATA: return {711, 709, 710};
    case CONVOLUTION_BACKWARD_FILTER: return {716, 717, 715};
    default: return {};
  }
}

std::vector<Tensor> tensors_of(const Descriptor &operation) {
  std::vector<Tensor> tensors;
  for (const int name : tensor_attributes(operation)) tensors.push_back(tensor_of(operation.part(name)));
  return tensors;
}

[[noreturn]] void refuse_shapes(const char *what) { refuse(STATUS_SHAPE_MISMATCH, "the shapes of a %s do not fit", what); }

void require_rank(const std::vector<Tensor> &tensors, size_t rank, const char *what) {
  for (const Tensor &tensor : tensors) {
    if (tensor.dims.size() != rank) refuse(STATUS_BAD_PARAM, "a tensor of a %s has %zu axes, not %zu", what, tensor.dims.size(), rank);
  }
}

void check_pointwise(const Descriptor &operation, const std::vector<Tensor> &tensors) {
  const int64_t mode = operation.part(750).number(POINTWISE_MODE);
  const bool has_two = mode == MUL || mode == SUB;
  if (!has_two && mode != EXP && mode != IDENTITY) refuse(STATUS_NOT_SUPPORTED, "the stand-in does not know the mode %lld", (long long)mode);
  if (tensors.size() != (has_two ? 3 : 2)) refuse(STATUS_BAD_PARAM, "a pointwise operation of mode %lld has %zu inputs", (long long)mode, tensors.size() - 1);
  require_rank(tensors, 4, "pointwise operation");
  const auto &y = tensors.back().dims;
  for (size_t i = 0; i + 1 < tensors.size(); i++) {
    for (size_t axis = 0; axis < y.size(); axis++) {
      const int64_t length = tensors[i].dims[axis];
      if (length != y[axis] && length != 1) refuse_shapes("pointwise operation");
    }
  }
}

void check_matmul(const std::vector<Tensor> &tensors) {
  require_rank(tensors, 4, "matmul");
  const auto &a = tensors[0].dims, &b = tensors[1].dims, &c = tensors[2].dims;
  const bool fits = a[3] == b[2] && a[2] == c[2] && b[3] == c[3];
  for (int axis = 0; axis < 2; axis++) {
    if (a[axis] != c[axis] || b[axis] != c[axis]) refuse_shapes("matmul");
  }
  if (!fits) refuse_shapes("matmul");
}

void check_reduction(const Descriptor &operation, const std::vector<Tensor> &tensors) {
  if (operation.part(1612).number(1600) != REDUCE_ADD) refuse(STATUS_NOT_SUPPORTED, "the stand-in knows sums only");
  require_rank(tensors, 4, "reduction");
  auto reduced = tensors[0].dims;
  reduced[3] = 1;
  if (tensors[1].dims != reduced) refuse_shapes("reduction, which the stand-in knows over the last axis only,");
}

void check_reshape(const std::vector<Tensor> &tensors) {
  require_rank(tensors, 4, "reshape");
  const Tensor &x = tensors[0], &y = tensors[1];
  const auto swapped = [](std::vector<int64_t> axes) {
    std::swap(axes[2], axes[3]);
    return axes;
  };
  if (y.dims != swapped(x.dims)) refuse_shapes("reshape, of which the stand-in knows transpositions only,");
  const auto strides = swapped(x.strides);
  if (!std::equal(strides.begin() + 2, strides.end(), y.strides.begin() + 2)) {
    refuse(STATUS_LAYOUT, "a reshape does not only exchange the last two axes");
  }
}

void check_attention(const std::vector<Tensor> &tensors) {
  require_rank(tensors, 4, "attention");
  const auto &q = tensors[0].dims;
  const std::vector<int64_t> rows = {q[0], q[1], q[2], 1};
  if (tensors[1].dims != q || tensors[2].dims != q || tensors[4].dims != q || tensors[5].dims != rows) refuse_shapes("attention");
  if (!tensors[3].is_by_value) refuse(STATUS_NOT_SUPPORTED, "the scale is not given by value");
}

/** x [B, I, …], w [O, I, …] and y [B, O, …] of a convolution, whatever it computes. */
struct Maps {
  Tensor x, w, y;
};

Maps maps_of(int kind, const std::vector<Tensor> &tensors) {
  if (kind == CONVOLUTION_FORWARD) return {tensors[0], tensors[1], tensors[2]};
  if (kind == CONVOLUTION_BACKWARD_DATA) return {tensors[2], tensors[1], tensors[0]};
  return {tensors[0], tensors[2], tensors[1]};
}

void check_factors(const Descriptor &operation, int alpha) {
  const int64_t ONE = 0x3f800000;
  if (operation.number(alpha) != ONE || operation.number(alpha + 1) != 0) {
    refuse(STATUS_NOT_SUPPORTED, "the stand-in knows alpha 1 and beta 0 only");
  }
}

void check_convolution(const Descriptor &operation, int alpha, const std::vector<Tensor> &tensors) {
  check_factors(operation, alpha);
  const Descriptor &definition = operation.part(alpha + 2);
  require_rank(tensors, 2 + (size_t)definition.number(CONVOLUTION_SPATIAL_DIMS), "convolution");
  const auto [x, w, y] = maps_of(operation.kind, tensors);
  if (x.dims[0] != y.dims[0] || x.dims[1] != w.dims[1] || w.dims[0] != y.dims[1]) refuse_shapes("convolution");
  const auto &stride = definition.numbers(CONVOLUTION_FILTER_STRIDES), &padding = definition.numbers(CONVOLUTION_PRE_PADDINGS);
  for (size_t i = 0; i < stride.size(); i++) {
    const int64_t length = (x.dims[2 + i] + 2 * padding[i] - w.dims[2 + i]) / stride[i] + 1;
    if (y.dims[2 + i] != length) refuse_shapes("convolution");
  }
}

void check_definition(const Descriptor &convolution) {
  const size_t axes = (size_t)convolution.number(CONVOLUTION_SPATIAL_DIMS);
  for (const int name : {CONVOLUTION_DILATIONS, CONVOLUTION_FILTER_STRIDES, CONVOLUTION_PRE_PADDINGS, CONVOLUTION_POST_PADDINGS}) {
    if (convolution.numbers(name).size() != axes) refuse(STATUS_BAD_PARAM, "attribute %d has not %zu elements", name, axes);
  }
  const auto &dilations = convolution.numbers(CONVOLUTION_DILATIONS);
  const bool is_known = axes == 3 && convolution.number(CONVOLUTION_CONV_MODE) == CROSS_CORRELATION &&
                        convolution.number(CONVOLUTION_COMP_TYPE) == FLOAT &&
                        std::count(dilations.begin(), dilations.end(), 1) == 3 &&
                        convolution.numbers(CONVOLUTION_PRE_PADDINGS) == convolution.numbers(CONVOLUTION_POST_PADDINGS);
  if (!is_known) {
    refuse(STATUS_NOT_SUPPORTED, "the stand-in knows cross-correlations of 3 axes in float32 with the same padding on both sides only");
  }
}

void check_operation(const Descriptor &operation) {
  const auto tensors = tensors_of(operation);
  switch (operation.kind) {
    case OPERATION_POINTWISE: return check_pointwise(operation, tensors);
    case OPERATION_MATMUL: return check_matmul(tensors);
    case OPERATION_REDUCTION: return check_reduction(operation, tensors);
    case OPERATION_RESHAPE: return check_reshape(tensors);
    case OPERATION_SDPA_FWD: return check_attention(tensors);
    case CONVOLUTION_FORWARD: return check_convolution(operation, 700, tensors);
    case CONVOLUTION_BACKWARD_DATA: return check_convolution(operation, 706, tensors);
    case CONVOLUTION_BACKWARD_FILTER: return check_convolution(operation, 712, tensors);
  }
}

bool is_same(const Tensor &a, const Tensor &b) {
  return a.element == b.element && a.dims == b.dims && a.strides == b.strides && a.is_virtual == b.is_virtual &&
         a.is_by_value == b.is_by_value;
}

void add_operation(Graph &graph, const Descriptor &descriptor) {
  Operation operation{descriptor.kind, 0, {}, {}, {}};
  for (const Tensor &tensor : tensors_of(descriptor)) {
    const auto [found, is_new] = graph.tensors.emplace(tensor.id, tensor);
    if (!is_new && !is_same(found->second, tensor)) refuse(STATUS_BAD_PARAM, "two tensors have the id %lld", (long long)tensor.id);
    operation.tensors.push_back(tensor.id);
  }
  if (descriptor.kind == OPERATION_POINTWISE) operation.mode = (int)descriptor.part(750).number(POINTWISE_MODE);
  for (const int name : {702, 708, 714}) {
    if (!descriptor.has(name)) continue;
    operation.padding = descriptor.part(name).numbers(CONVOLUTION_PRE_PADDINGS);
    operation.stride = descriptor.part(name).numbers(CONVOLUTION_FILTER_STRIDES);
  }
  graph.operations.push_back(operation);
}

/** What is virtual must have been computed before it is read, and each tensor is computed once. */
void check_order(const Graph &graph) {
  std::set<int64_t> computed;
  for (const Operation &operation : graph.operations) {
    const size_t inputs = operation.tensors.size() - operation.results();
    for (size_t i = 0; i < operation.tensors.size(); i++) {
      const int64_t id = operation.tensors[i];
      if (i < inputs && graph.tensors.at(id).is_virtual && !computed.count(id)) {
        refuse(STATUS_BAD_PARAM, "nothing computes the virtual tensor %lld before it is read", (long long)id);
      }
      if (i >= inputs && !computed.insert(id).second) refuse(STATUS_BAD_PARAM, "the tensor %lld is computed twice", (long long)id);
    }
  }
}

void make_graph(Descriptor &descriptor) {
  for (const auto &part : descriptor.values.at(OPERATIONGRAPH_OPS).parts) {
    if (tensor_attributes(*part).empty()) refuse(STATUS_DESCRIPTOR_TYPE, "a descriptor of kind %d is no operation", part->kind);
    add_operation(descriptor.graph, *part);
  }
  check_order(descriptor.graph);
}

void make_plan(Descriptor &plan) {
  if (plan.has(EXECUTION_PLAN_ENGINE_CONFIG) == plan.has(EXECUTION_PLAN_JSON)) {
    refuse(STATUS_BAD_PARAM, "a plan is made of either an engine or a text");
  }
  if (plan.has(EXECUTION_PLAN_JSON)) return plan_from_json(plan.values.at(EXECUTION_PLAN_JSON).text, plan.graph, plan.engine);
  plan.graph = plan.part(EXECUTION_PLAN_ENGINE_CONFIG).graph;
  plan.engine = plan.part(EXECUTION_PLAN_ENGINE_CONFIG).engine;
}

void check_variants(const Descriptor &variants) {
  const auto &ids = variants.numbers(VARIANT_PACK_UNIQUE_IDS), &pointers = variants.numbers(VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != pointers.size()) refuse(STATUS_BAD_PARAM, "a variant pack has %zu ids and %zu pointers", ids.size(), pointers.size());
  if (std::set<int64_t>(ids.begin(), ids.end()).size() != ids.size()) refuse(STATUS_BAD_PARAM, "a variant pack has an id twice");
}

}  // namespace

int64_t Tensor::size() const {
  int64_t size = 1;
  for (const int64_t length : dims) size *= length;
  return size;
}

uint64_t Tensor::bytes() const {
  int64_t last = 0;
  for (size_t axis = 0; axis < dims.size(); axis++) last += (dims[axis] - 1) * strides[axis];
  return (uint64_t)(last + 1) * bytes_of(element);
}

void finalize_descriptor(Descriptor &descriptor) {
  switch (descriptor.kind) {
    case TENSOR: return check_tensor(descriptor);
    case CONVOLUTION: return check_definition(descriptor);
    case OPERATIONGRAPH: return make_graph(descriptor);
    case ENGINEHEUR:
      descriptor.graph = descriptor.part(ENGINEHEUR_OPERATION_GRAPH).graph;
      engines_of(descriptor.graph);
      return;
    case ENGINECFG: refuse(STATUS_NOT_SUPPORTED, "the stand-in takes configurations from heuristics only");
    case EXECUTION_PLAN: return make_plan(descriptor);
    case VARIANT_PACK: return check_variants(descriptor);
    default: return check_operation(descriptor);
  }
}

}  // namespace cuda_on_cpu::cudnn
