/** libcudnn: handles, descriptors and their attributes. Codes are those of cuDNN 9.24 where it was asked for them. */
#include <cstdio>

#include "cudnn.h"

namespace cuda_on_cpu::cudnn {
namespace {

/** cudnnBackendAttributeType_t. */
enum AttributeType {
  TYPE_HANDLE = 0,
  TYPE_DATA_TYPE = 1,
  TYPE_BOOLEAN = 2,
  TYPE_INT64 = 3,
  TYPE_FLOAT = 4,
  TYPE_VOID_PTR = 6,
  TYPE_CONVOLUTION_MODE = 7,
  TYPE_HEUR_MODE = 8,
  TYPE_NUMERICAL_NOTE = 11,
  TYPE_POINTWISE_MODE = 14,
  TYPE_DESCRIPTOR = 15,
  TYPE_REDUCTION_OPERATOR = 18,
  TYPE_CHAR = 24,
};

enum Use { REQUIRED, OPTIONAL, READ_ONLY };

/** An attribute of a kind of descriptors. */
struct Rule {
  int name, type;
  size_t most;
  Use use;
  /** The kind of the descriptors, if it holds some; -1 for any. */
  int part = -1;
};

const size_t MOST_AXES = 8, MOST_OPERATIONS = 64, MOST_TENSORS = 64, MOST_ENGINES = 1 << 20, MOST_CHARACTERS = 1 << 24;

std::vector<Rule> tensor_rules(std::initializer_list<int> required, std::initializer_list<int> optional = {}) {
  std::vector<Rule> rules;
  for (const int name : required) rules.push_back({name, TYPE_DESCRIPTOR, 1, REQUIRED, TENSOR});
  for (const int name : optional) rules.push_back({name, TYPE_DESCRIPTOR, 1, OPTIONAL, TENSOR});
  return rules;
}

std::vector<Rule> with(std::vector<Rule> rules, std::initializer_list<Rule> more) {
  rules.insert(rules.end(), more);
  return rules;
}

/** The attributes of a convolution: alpha, beta and definition, and the tensors. */
std::vector<Rule> convolution_rules(int alpha, std::initializer_list<int> tensors) {
  return with(tensor_rules(tensors), {{alpha, TYPE_FLOAT, 1, REQUIRED},
                                      {alpha + 1, TYPE_FLOAT, 1, REQUIRED},
                                      {alpha + 2, TYPE_DESCRIPTOR, 1, REQUIRED, CONVOLUTION}});
}

const std::map<int, std::vector<Rule>> RULES = {
    {POINTWISE, {{POINTWISE_MODE, TYPE_POINTWISE_MODE, 1, REQUIRED}, {1, TYPE_DATA_TYPE, 1, REQUIRED}}},
    {CONVOLUTION,
     {{CONVOLUTION_COMP_TYPE, TYPE_DATA_TYPE, 1, REQUIRED},
      {CONVOLUTION_CONV_MODE, TYPE_CONVOLUTION_MODE, 1, REQUIRED},
      {CONVOLUTION_DILATIONS, TYPE_INT64, MOST_AXES, REQUIRED},
      {CONVOLUTION_FILTER_STRIDES, TYPE_INT64, MOST_AXES, REQUIRED},
      {CONVOLUTION_POST_PADDINGS, TYPE_INT64, MOST_AXES, REQUIRED},
      {CONVOLUTION_PRE_PADDINGS, TYPE_INT64, MOST_AXES, REQUIRED},
      {CONVOLUTION_SPATIAL_DIMS, TYPE_INT64, 1, REQUIRED}}},
    {ENGINE, {{ENGINE_NUMERICAL_NOTE, TYPE_NUMERICAL_NOTE, 16, READ_ONLY}}},
    {ENGINECFG, {{ENGINECFG_ENGINE, TYPE_DESCRIPTOR, 1, READ_ONLY, ENGINE}}},
    {ENGINEHEUR,
     {{200, TYPE_HEUR_MODE, 1, REQUIRED},
      {ENGINEHEUR_OPERATION_GRAPH, TYPE_DESCRIPTOR, 1, REQUIRED, OPERATIONGRAPH},
      {ENGINEHEUR_RESULTS, TYPE_DESCRIPTOR, MOST_ENGINES, READ_ONLY, ENGINECFG}}},
    {EXECUTION_PLAN,
     {{400, TYPE_HANDLE, 1, REQUIRED},
      {EXECUTION_PLAN_ENGINE_CONFIG, TYPE_DESCRIPTOR, 1, OPTIONAL, ENGINECFG},
      {EXECUTION_PLAN_WORKSPACE_SIZE, TYPE_INT64, 1, READ_ONLY},
      {EXECUTION_PLAN_JSON, TYPE_CHAR, MOST_CHARACTERS, OPTIONAL}}},
    {CONVOLUTION_FORWARD, convolution_rules(700, {703, 704, 705})},
    {CONVOLUTION_BACKWARD_DATA, convolution_rules(706, {709, 710, 711})},
    {CONVOLUTION_BACKWARD_FILTER, convolution_rules(712, {715, 716, 717})},
    {OPERATION_POINTWISE, with(tensor_rules({751, 753}, {752}), {{750, TYPE_DESCRIPTOR, 1, REQUIRED, POINTWISE}})},
    {OPERATIONGRAPH,
     {{800, TYPE_HANDLE, 1, REQUIRED}, {OPERATIONGRAPH_OPS, TYPE_DESCRIPTOR, MOST_OPERATIONS, REQUIRED}}},
    {VARIANT_PACK,
     {{VARIANT_PACK_UNIQUE_IDS, TYPE_INT64, MOST_TENSORS, REQUIRED},
      {VARIANT_PACK_DATA_POINTERS, TYPE_VOID_PTR, MOST_TENSORS, REQUIRED},
      {VARIANT_PACK_WORKSPACE, TYPE_VOID_PTR, 1, OPTIONAL}}},
    {TENSOR,
     {{TENSOR_BYTE_ALIGNMENT, TYPE_INT64, 1, REQUIRED},
      {TENSOR_DATA_TYPE, TYPE_DATA_TYPE, 1, REQUIRED},
      {TENSOR_DIMENSIONS, TYPE_INT64, MOST_AXES, REQUIRED},
      {TENSOR_STRIDES, TYPE_INT64, MOST_AXES, REQUIRED},
      {TENSOR_UNIQUE_ID, TYPE_INT64, 1, REQUIRED},
      {TENSOR_IS_VIRTUAL, TYPE_BOOLEAN, 1, OPTIONAL},
      {TENSOR_IS_BY_VALUE, TYPE_BOOLEAN, 1, OPTIONAL}}},
    {MATMUL, {{1500, TYPE_DATA_TYPE, 1, REQUIRED}}},
    {OPERATION_MATMUL, with(tensor_rules({1520, 1521, 1522}), {{1523, TYPE_DESCRIPTOR, 1, REQUIRED, MATMUL}})},
    {REDUCTION, {{1600, TYPE_REDUCTION_OPERATOR, 1, REQUIRED}, {1601, TYPE_DATA_TYPE, 1, REQUIRED}}},
    {OPERATION_REDUCTION, with(tensor_rules({1610, 1611}), {{1612, TYPE_DESCRIPTOR, 1, REQUIRED, REDUCTION}})},
    {OPERATION_RESHAPE, tensor_rules({2200, 2201})},
    {OPERATION_SDPA_FWD, tensor_rules({2800, 2801, 2802, 2803, 2804, 2805})},
};

/** Bytes of an element of an attribute. */
size_t bytes_of_type(int type) {
  if (type == TYPE_BOOLEAN || type == TYPE_CHAR) return 1;
  const bool is_long = type == TYPE_HANDLE || type == TYPE_INT64 || type == TYPE_VOID_PTR || type == TYPE_DESCRIPTOR;
  return is_long ? 8 : 4;
}

struct Handle {
  std::shared_ptr<Stream> stream = stream_of(nullptr);
};

Handles<Handle> handles("cuDNN handle", 0x60000000);
Handles<Descriptor> descriptors("descriptor of cuDNN", 0x68000000);

const Rule &rule_of(const Descriptor &descriptor, int name, int type) {
  for (const Rule &rule : RULES.at(descriptor.kind)) {
    if (rule.name != name) continue;
    if (rule.type != type) refuse(STATUS_ATTRIBUTE_TYPE, "attribute %d has the type %d, not %d", name, rule.type, type);
    return rule;
  }
  refuse(STATUS_BAD_PARAM, "a descriptor of kind %d has no attribute %d", descriptor.kind, name);
}

/** A descriptor that another one is made of. */
std::shared_ptr<Descriptor> part_of(const void *handle, const Rule &rule) {
  const auto part = descriptors.get(handle, STATUS_BAD_PARAM);
  if (rule.part >= 0 && part->kind != rule.part) {
    refuse(STATUS_DESCRIPTOR_TYPE, "attribute %d needs descriptors of kind %d, not %d", rule.name, rule.part, part->kind);
  }
  if (!part->is_finalized) refuse(STATUS_NOT_FINALIZED, "attribute %d is a descriptor that is not finalized", rule.name);
  return part;
}

Value read_value(const Rule &rule, size_t count, const void *elements) {
  Value value;
  const char *element = static_cast<const char *>(elements);
  if (rule.type == TYPE_CHAR) {
    value.text = std::string(element, count);
    return value;
  }
  const size_t bytes = bytes_of_type(rule.type);
  for (size_t i = 0; i < count; i++, element += bytes) {
    // Little-endian: the low bytes come first.
    int64_t number = 0;
    memcpy(&number, element, bytes);
    if (rule.type == TYPE_DESCRIPTOR) value.parts.push_back(part_of(reinterpret_cast<void *>(number), rule));
    else value.numbers.push_back(number);
  }
  return value;
}

void set_attribute(Descriptor &descriptor, const Rule &rule, int64_t count, const void *elements) {
  if (descriptor.is_finalized) refuse(STATUS_BAD_PARAM, "the descriptor is finalized already");
  if (rule.use == READ_ONLY) refuse(STATUS_BAD_PARAM, "attribute %d cannot be set", rule.name);
  if (!elements) refuse(STATUS_NULL_POINTER, "attribute %d has no elements", rule.name);
  if (count < 1 || (size_t)count > rule.most) {
    refuse(STATUS_BAD_PARAM, "attribute %d has 1 to %zu elements, not %lld", rule.name, rule.most, (long long)count);
  }
  descriptor.values[rule.name] = read_value(rule, (size_t)count, elements);
  if (rule.type == TYPE_HANDLE) check_handle(reinterpret_cast<void *>(descriptor.number(rule.name)));
}

/** Numbers that follow from other attributes. */
Value derived_value(const Descriptor &descriptor, int name) {
  if (name == EXECUTION_PLAN_JSON) return {{}, {}, plan_to_json(descriptor.graph, descriptor.engine)};
  if (name == EXECUTION_PLAN_WORKSPACE_SIZE) return {{workspace_of(descriptor.graph)}, {}, ""};
  if (name == ENGINE_NUMERICAL_NOTE) return {engines_of(descriptor.graph).at(descriptor.engine).notes, {}, ""};
  return descriptor.has(name) ? descriptor.values.at(name) : Value{};
}

/** Fills descriptors that the caller has made: the engines of a heuristic, or the engine of a configuration. */
void fill_descriptors(const Descriptor &source, const Rule &rule, int64_t count, void *const *made) {
  for (int64_t i = 0; i < count; i++) {
    const auto target = descriptors.get(made[i], STATUS_BAD_PARAM);
    if (target->kind != rule.part || target->is_finalized) {
      refuse(STATUS_BAD_PARAM, "element %lld is no new descriptor of kind %d", (long long)i, rule.part);
    }
    target->graph = source.graph;
    target->engine = rule.name == ENGINEHEUR_RESULTS ? (int)i : source.engine;
    target->is_finalized = true;
  }
}

int64_t count_of(const Descriptor &descriptor, int name) {
  if (name == ENGINEHEUR_RESULTS) return (int64_t)engines_of(descriptor.graph).size();
  if (name == ENGINECFG_ENGINE) return 1;
  return (int64_t)derived_value(descriptor, name).count();
}

void write_value(const Descriptor &descriptor, const Rule &rule, int64_t count, void *elements) {
  if (rule.type == TYPE_DESCRIPTOR) return fill_descriptors(descriptor, rule, count, static_cast<void *const *>(elements));
  const Value value = derived_value(descriptor, rule.name);
  if (rule.type == TYPE_CHAR) {
    memcpy(elements, value.text.data(), (size_t)count);
    return;
  }
  char *element = static_cast<char *>(elements);
  const size_t bytes = bytes_of_type(rule.type);
  for (int64_t i = 0; i < count; i++, element += bytes) memcpy(element, &value.numbers[(size_t)i], bytes);
}

void require_attributes(const Descriptor &descriptor) {
  for (const Rule &rule : RULES.at(descriptor.kind)) {
    if (rule.use == REQUIRED && !descriptor.has(rule.name)) {
      refuse(STATUS_BAD_PARAM, "a descriptor of kind %d lacks attribute %d", descriptor.kind, rule.name);
    }
  }
}

}  // namespace

std::shared_ptr<Descriptor> finalized_descriptor(const void *handle, int kind) {
  const auto descriptor = descriptors.get(handle, STATUS_BAD_PARAM);
  if (descriptor->kind != kind) refuse(STATUS_DESCRIPTOR_TYPE, "a descriptor has the kind %d, not %d", descriptor->kind, kind);
  if (!descriptor->is_finalized) refuse(STATUS_NOT_FINALIZED, "a descriptor of kind %d is not finalized", kind);
  return descriptor;
}

void check_handle(const void *handle) { handles.get(handle, STATUS_NOT_INITIALIZED); }

std::shared_ptr<Stream> stream_of_handle(const void *handle) { return handles.get(handle, STATUS_NOT_INITIALIZED)->stream; }

void reset_cudnn() {
  descriptors.clear();
  handles.clear();
}

}  // namespace cuda_on_cpu::cudnn

using namespace cuda_on_cpu;

EXPORTED size_t cudnnGetVersion() { return settings.cudnn_version; }

EXPORTED const char *cudnnGetErrorString(int status) {
  switch (status) {
    case 0: return "CUDNN_STATUS_SUCCESS";
    case cudnn::STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case cudnn::STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case cudnn::STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case cudnn::STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return status < 3000 ? "CUDNN_STATUS_BAD_PARAM_…" : "CUDNN_STATUS_NOT_SUPPORTED_…";
  }
}

/** What was wrong with the last call that was refused, of whichever library. */
EXPORTED void cudnnGetLastErrorString(char *text, size_t bytes) {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  if (bytes > 0) snprintf(text, bytes, "%s", kept_problem().c_str());
}

EXPORTED int cudnnCreate(void **handle) {
  return call(__func__, [&] {
    require_context();
    forbid_while_capturing();
    if (!handle) refuse(cudnn::STATUS_NULL_POINTER, "the result is null");
    *handle = cudnn::handles.add(std::make_shared<cudnn::Handle>());
  });
}

EXPORTED int cudnnDestroy(void *handle) {
  return call(__func__, [&] { cudnn::handles.destroy(handle, cudnn::STATUS_NOT_INITIALIZED); });
}

EXPORTED int cudnnSetStream(void *handle, void *stream) {
  return call(__func__, [&] {
    cudnn::handles.get(handle, cudnn::STATUS_NOT_INITIALIZED)->stream = stream_of(stream);
  });
}

EXPORTED int cudnnBackendCreateDescriptor(int kind, void **handle) {
  return call(__func__, [&] {
    if (!handle) refuse(cudnn::STATUS_NULL_POINTER, "the result is null");
    if (!cudnn::RULES.count(kind)) refuse(cudnn::STATUS_NO_SUCH_KIND, "the stand-in has no descriptors of kind %d", kind);
    *handle = cudnn::descriptors.add(std::make_shared<cudnn::Descriptor>(kind));
  });
}

EXPORTED int cudnnBackendDestroyDescriptor(void *handle) {
  return call(__func__, [&] {
    if (!handle) refuse(cudnn::STATUS_NULL_POINTER, "the descriptor is null");
    const auto descriptor = cudnn::descriptors.get(handle, cudnn::STATUS_BAD_PARAM);
    // This function and the table hold it; more are descriptors that were made of it.
    if (descriptor.use_count() > 2) refuse(cudnn::STATUS_BAD_PARAM, "a descriptor of kind %d is still in use", descriptor->kind);
    cudnn::descriptors.destroy(handle, cudnn::STATUS_BAD_PARAM);
  });
}

EXPORTED int cudnnBackendSetAttribute(void *handle, int name, int type, int64_t count, const void *elements) {
  return call(__func__, [&] {
    const auto descriptor = cudnn::descriptors.get(handle, cudnn::STATUS_BAD_PARAM);
    cudnn::set_attribute(*descriptor, cudnn::rule_of(*descriptor, name, type), count, elements);
  });
}

/** Without elements, tells how many there are; else how many it wrote. */
EXPORTED int cudnnBackendGetAttribute(void *handle, int name, int type, int64_t requested, int64_t *count, void *elements) {
  return call(__func__, [&] {
    const auto descriptor = cudnn::descriptors.get(handle, cudnn::STATUS_BAD_PARAM);
    if (!descriptor->is_finalized) refuse(cudnn::STATUS_NOT_INITIALIZED, "the descriptor is not finalized");
    const cudnn::Rule &rule = cudnn::rule_of(*descriptor, name, type);
    const int64_t present = cudnn::count_of(*descriptor, name);
    const int64_t written = elements ? std::min(present, requested) : present;
    if (elements && requested > 0) cudnn::write_value(*descriptor, rule, written, elements);
    if (count) *count = written;
  });
}

EXPORTED int cudnnBackendFinalize(void *handle) {
  return call(__func__, [&] {
    const auto descriptor = cudnn::descriptors.get(handle, cudnn::STATUS_BAD_PARAM);
    if (descriptor->is_finalized) refuse(cudnn::STATUS_BAD_PARAM, "the descriptor is finalized already");
    cudnn::require_attributes(*descriptor);
    cudnn::finalize_descriptor(*descriptor);
    descriptor->is_finalized = true;
  });
}
