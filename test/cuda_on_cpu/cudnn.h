/** cuDNN's graph API: descriptors, and the graphs of operations that they describe. */
#pragma once

#include <map>
#include <string>
#include <vector>

#include "library.h"
#include "product.h"

namespace cuda_on_cpu::cudnn {

/** cudnnStatus_t. */
enum Status {
  STATUS_NOT_INITIALIZED = 1001,
  STATUS_OTHER_VERSION = 1003,
  STATUS_BAD_PARAM = 2000,
  STATUS_NULL_POINTER = 2002,
  STATUS_MISALIGNED = 2003,
  STATUS_NOT_FINALIZED = 2004,
  STATUS_SHAPE_MISMATCH = 2008,
  STATUS_ATTRIBUTE_TYPE = 2010,
  STATUS_DESCRIPTOR_TYPE = 2012,
  STATUS_NOT_SUPPORTED = 3000,
  STATUS_PATTERN = 3001,
  STATUS_SHAPE = 3002,
  STATUS_DATA_TYPE = 3003,
  STATUS_LAYOUT = 3004,
  STATUS_ARCH_MISMATCH = 3007,
  STATUS_NO_SUCH_KIND = 4003,
  STATUS_EXECUTION_FAILED = 5000,
};

/** cudnnBackendDescriptorType_t. */
enum Kind {
  POINTWISE = 0,
  CONVOLUTION = 1,
  ENGINE = 2,
  ENGINECFG = 3,
  ENGINEHEUR = 4,
  EXECUTION_PLAN = 5,
  CONVOLUTION_FORWARD = 10,
  CONVOLUTION_BACKWARD_FILTER = 11,
  CONVOLUTION_BACKWARD_DATA = 12,
  OPERATION_POINTWISE = 13,
  OPERATIONGRAPH = 15,
  VARIANT_PACK = 16,
  TENSOR = 17,
  MATMUL = 18,
  OPERATION_MATMUL = 19,
  REDUCTION = 21,
  OPERATION_REDUCTION = 22,
  OPERATION_RESHAPE = 31,
  OPERATION_SDPA_FWD = 41,
};

enum PointwiseMode { MUL = 1, SUB = 9, EXP = 13, IDENTITY = 21 };
enum DataType { FLOAT = 0, BFLOAT16 = 9 };

// ---- Graphs

struct Tensor {
  int64_t id, alignment;
  Element element;
  std::vector<int64_t> dims, strides;
  bool is_virtual, is_by_value;

  int64_t size() const;
  /** From the first to the last element. */
  uint64_t bytes() const;
};

/** An operation on tensors, given by their ids; the results come last. */
struct Operation {
  int kind;
  /** Of a pointwise operation. */
  int mode;
  /**
   * pointwise: inputs, y; matmul: a, b, c; reduction, reshape: x, y; attention: q, k, v, scale, o, statistics;
   * convolution: the two that are read, and the result.
   */
  std::vector<int64_t> tensors;
  /** Of a convolution. */
  std::vector<int64_t> padding, stride;

  size_t results() const { return kind == OPERATION_SDPA_FWD ? 2 : 1; }
};

struct Graph {
  std::map<int64_t, Tensor> tensors;
  std::vector<Operation> operations;
};

/** Where the tensors of a graph are; numbers by value are on the host when they are given, and kept. */
struct Bindings {
  std::map<int64_t, char *> addresses;
  std::map<int64_t, float> scalars;
};

/** Computes a graph in float32; what is stored as bfloat16 is rounded (cudnn_interpreter.cpp). */
void run_graph(const Graph &graph, const Bindings &bindings, Rounding rounding);

// ---- Plans (cudnn_plans.cpp)

/** An engine that can compute a graph, with cuDNN's notes on its numbers. */
struct Engine {
  std::vector<int64_t> notes;
  Rounding rounding;
};

/** The engines for a graph, the fastest first. Fails if there are none. */
std::vector<Engine> engines_of(const Graph &graph);
/** Memory that engines ask for, so that tests notice a workspace that is too small. */
int64_t workspace_of(const Graph &graph);
std::string plan_to_json(const Graph &graph, int engine);
/** Fails for a text that another version or another device has made. */
void plan_from_json(const std::string &text, Graph &graph, int &engine);

// ---- Descriptors (cudnn_descriptors.cpp)

struct Descriptor;

/** The elements of an attribute: numbers, also bits of floats and addresses; parts; or a text. */
struct Value {
  std::vector<int64_t> numbers;
  std::vector<std::shared_ptr<Descriptor>> parts;
  std::string text;

  size_t count() const { return parts.size() + numbers.size() + text.size(); }
};

struct Descriptor {
  explicit Descriptor(int kind) : kind(kind) {}

  const int kind;
  bool is_finalized = false;
  std::map<int, Value> values;
  /** Of operation graphs and all that is made of them. */
  Graph graph;
  int engine = 0;

  bool has(int attribute) const { return values.count(attribute) > 0; }
  int64_t number(int attribute) const { return values.at(attribute).numbers.at(0); }
  const std::vector<int64_t> &numbers(int attribute) const { return values.at(attribute).numbers; }
  const Descriptor &part(int attribute) const { return *values.at(attribute).parts.at(0); }
};

/** Fails unless the descriptor exists, is finalized, and is of this kind. */
std::shared_ptr<Descriptor> finalized_descriptor(const void *handle, int kind);
/** Checks a descriptor whose attributes are complete, and derives what follows from them (cudnn_operations.cpp). */
void finalize_descriptor(Descriptor &descriptor);
void check_handle(const void *handle);
void reset_cudnn();

// Attributes that more than one file reads (CUDNN_ATTR_…).
enum AttributeName {
  POINTWISE_MODE = 0,
  CONVOLUTION_COMP_TYPE = 100,
  CONVOLUTION_CONV_MODE = 101,
  CONVOLUTION_DILATIONS = 102,
  CONVOLUTION_FILTER_STRIDES = 103,
  CONVOLUTION_POST_PADDINGS = 104,
  CONVOLUTION_PRE_PADDINGS = 105,
  CONVOLUTION_SPATIAL_DIMS = 106,
  ENGINEHEUR_OPERATION_GRAPH = 201,
  ENGINEHEUR_RESULTS = 202,
  ENGINECFG_ENGINE = 300,
  EXECUTION_PLAN_ENGINE_CONFIG = 401,
  EXECUTION_PLAN_WORKSPACE_SIZE = 402,
  EXECUTION_PLAN_JSON = 405,
  OPERATIONGRAPH_OPS = 801,
  TENSOR_BYTE_ALIGNMENT = 900,
  TENSOR_DATA_TYPE = 901,
  TENSOR_DIMENSIONS = 902,
  TENSOR_STRIDES = 903,
  TENSOR_UNIQUE_ID = 906,
  TENSOR_IS_VIRTUAL = 907,
  TENSOR_IS_BY_VALUE = 908,
  VARIANT_PACK_UNIQUE_IDS = 1000,
  VARIANT_PACK_DATA_POINTERS = 1001,
  VARIANT_PACK_WORKSPACE = 1003,
  ENGINE_NUMERICAL_NOTE = 1303,
};

}  // namespace cuda_on_cpu::cudnn
