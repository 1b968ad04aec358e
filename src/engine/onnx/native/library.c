/**
 * @file The kernels as operators of ONNX Runtime.
 *
 * The declarations repeat the parts of onnxruntime_c_api.h that are needed: struct OrtCustomOp of version 17, and positions
 * in the function table, which never change.
 */
#include "kernels.h"
#include <stdlib.h>
#include <string.h>

#define API_VERSION 17
enum { TYPE_UNDEFINED = 0, TYPE_FLOAT = 1, TYPE_INT32 = 6 };
enum { REQUIRED = 0, OPTIONAL = 1 };
enum { FAIL = 1 };

typedef void Status;
typedef void *const *Api;

#define FUNCTION(api, position, ...) ((Status * (*)(__VA_ARGS__))(api)[position])
#define CREATE_STATUS(api) FUNCTION(api, 0, int, const char *)
#define GET_TENSOR_DATA(api) FUNCTION(api, 51, void *, void **)
#define GET_INPUT(api) FUNCTION(api, 90, const void *, size_t, const void **)
#define GET_OUTPUT(api) FUNCTION(api, 91, void *, size_t, const int64_t *, size_t, void **)
#define GET_INPUT_COUNT(api) FUNCTION(api, 88, const void *, size_t *)
#define GET_FLOATS(api) FUNCTION(api, 162, const void *, const char *, float *, size_t *)
#define GET_INTS(api) FUNCTION(api, 163, const void *, const char *, int64_t *, size_t *)
#define RELEASE_STATUS(api) ((void (*)(Status *))(api)[93])
#define PARALLEL_FOR(api) FUNCTION(api, 274, const void *, Body *, size_t, size_t, void *)

/** OrtCustomOp, followed by the kernel that it stands for. */
typedef struct Op Op;
struct Op {
  uint32_t version;
  void *(*create_kernel)(const Op *, Api, const void *info);
  const char *(*get_name)(const Op *);
  const char *(*get_provider)(const Op *);
  int (*get_input_type)(const Op *, size_t);
  size_t (*get_input_count)(const Op *);
  int (*get_output_type)(const Op *, size_t);
  size_t (*get_output_count)(const Op *);
  void (*compute)(void *, void *context);
  void (*destroy)(void *);
  int (*get_input_characteristic)(const Op *, size_t);
  int (*get_output_characteristic)(const Op *, size_t);
  int (*get_input_memory)(const Op *, size_t);
  int (*get_variadic_input_min)(const Op *);
  int (*get_variadic_input_homogeneity)(const Op *);
  int (*get_variadic_output_min)(const Op *);
  int (*get_variadic_output_homogeneity)(const Op *);
  Status *(*create_kernel_v2)(const Op *, Api, const void *info, void **kernel);
  Status *(*compute_v2)(void *, void *context);
  Status *(*infer_shapes)(const Op *, void *);
  int (*get_start_version)(const Op *);
  int (*get_end_version)(const Op *);
  size_t (*get_may_inplace)(int **, int **);
  void (*release_may_inplace)(int *, int *);
  size_t (*get_alias_map)(int **, int **);
  void (*release_alias_map)(int *, int *);
  const Kernel *kernel;
};

/** A node of a graph: a kernel with its attributes. */
typedef struct {
  Api api;
  const Kernel *kernel;
  int64_t *ints;
  float *floats;
  /** Rank and extents of each result, one after the other. */
  int64_t *shapes;
} Node;

/** Reads a list; absent lists are empty. Null if it cannot be read. */
#define READ_LIST(type, name, read)                                   \
  static type *name(Api api, const void *info, const char *key) {     \
    size_t size = 0;                                                  \
    Status *status = read(api)(info, key, NULL, &size);               \
    if (status) RELEASE_STATUS(api)(status);                          \
    type *list = calloc(size + 1, sizeof(type));                      \
    status = list && size > 0 ? read(api)(info, key, list, &size) : NULL; \
    if (status) RELEASE_STATUS(api)(status), free(list), list = NULL;     \
    return list;                                                          \
  }
READ_LIST(int64_t, read_ints, GET_INTS)
READ_LIST(float, read_floats, GET_FLOATS)

static void destroy(void *kernel) {
  Node *node = kernel;
  free(node->ints);
  free(node->floats);
  free(node->shapes);
  free(node);
}

static Status *create(const Op *op, Api api, const void *info, void **kernel) {
  Node *node = calloc(1, sizeof(Node));
  if (!node) return CREATE_STATUS(api)(FAIL, OUT_OF_MEMORY);
  *node = (Node){api, op->kernel, read_ints(api, info, "ints"), read_floats(api, info, "floats"),
                 read_ints(api, info, "shapes")};
  if (!node->ints || !node->floats || !node->shapes) {
    destroy(node);
    return CREATE_STATUS(api)(FAIL, OUT_OF_MEMORY);
  }
  *kernel = node;
  return NULL;
}

/** Finds the operands and makes the results. */
static Status *prepare(const Node *node, void *context, Call *call) {
  Api api = node->api;
  size_t inputs = 0;
  Status *status = GET_INPUT_COUNT(api)(context, &inputs);
  for (size_t i = 0; !status && i < inputs; i++) {
    const void *value = NULL;
    status = GET_INPUT(api)(context, i, &value);
    if (!status && value) status = GET_TENSOR_DATA(api)((void *)value, (void **)&call->in[i]);
  }
  const int64_t *shape = node->shapes;
  for (size_t i = 0; !status && i < node->kernel->outputs && *shape >= 0; i++, shape += 1 + *shape) {
    void *value = NULL;
    status = GET_OUTPUT(api)(context, i, shape + 1, (size_t)*shape, &value);
    if (!status && value) status = GET_TENSOR_DATA(api)(value, &call->out[i]);
  }
  return status;
}

/** What `parallel` needs of the runtime. */
typedef struct {
  Api api;
  void *context;
} Runtime;

void parallel(const Call *call, size_t count, Body *body, void *state) {
  const Runtime *runtime = call->runtime;
  Status *status = count > 1 ? PARALLEL_FOR(runtime->api)(runtime->context, body, count, 0, state) : NULL;
  if (count > 1 && !status) return;
  // Without threads the work is done all the same.
  if (status) RELEASE_STATUS(runtime->api)(status);
  for (size_t i = 0; i < count; i++) body(state, i);
}

static Status *compute(void *kernel, void *context) {
  const Node *node = kernel;
  const Runtime runtime = {node->api, context};
  Call call = {.ints = node->ints, .floats = node->floats, .runtime = &runtime};
  Status *status = prepare(node, context, &call);
  if (status) return status;
  const char *failure = node->kernel->compute(&call);
  return failure ? CREATE_STATUS(node->api)(FAIL, failure) : NULL;
}

static const char *get_name(const Op *op) { return op->kernel->name; }
static const char *get_provider(const Op *op) { return (void)op, NULL; }
static size_t get_input_count(const Op *op) { return strlen(op->kernel->inputs); }
static size_t get_output_count(const Op *op) { return op->kernel->outputs; }
static int get_input_type(const Op *op, size_t i) { return op->kernel->inputs[i] == 'i' ? TYPE_INT32 : TYPE_FLOAT; }
static int get_output_type(const Op *op, size_t i) { return (void)op, (void)i, TYPE_FLOAT; }
static int get_characteristic(const Op *op, size_t i) { return (void)op, i == 0 ? REQUIRED : OPTIONAL; }
static int get_input_memory(const Op *op, size_t i) { return (void)op, (void)i, 0; }

static const Kernel KERNELS[] = {
    {"Product", "fff", 1, product},
    {"AdamUpdate", "fffff", 3, adam_update},
    {"Gelu", "f", 1, gelu},
    {"GeluGrad", "ff", 1, gelu_grad},
    {"ReluGrad", "ff", 1, relu_grad},
    {"LayerNorm", "fff", 1, layer_norm},
    {"LayerNormGrad", "fff", 3, layer_norm_grad},
    {"ColumnSums", "f", 1, column_sums},
    {"SumOfSquares", "f", 1, sum_of_squares},
    {"WeightedRowSum", "fif", 1, weighted_row_sum},
    {"WeightedRowSumGradWeight", "fif", 1, weighted_row_sum_grad_weight},
    {"WeightedRowSumGradTable", "iff", 1, weighted_row_sum_grad_table},
    {"Conv3d", "ffff", 1, conv3d},
    {"Conv3dGradInput", "ff", 1, conv3d_grad_input},
    {"Conv3dGradFilter", "ff", 1, conv3d_grad_filter},
    {"BatchNorm", "ffff", 3, batch_norm},
    {"BatchNormGrad", "ffffff", 3, batch_norm_grad},
    {"MaxPool3d", "f", 1, max_pool3d},
    {"MaxPool3dGrad", "fff", 1, max_pool3d_grad},
    {"SelfAttention", "fff", 1, self_attention},
    {"SelfAttentionGrad", "fffff", 2, self_attention_grad},
};
#define COUNT (sizeof(KERNELS) / sizeof(KERNELS[0]))
static Op ops[COUNT];

/** The operator at a place; null behind the last one. */
const void *stmixer_operator(size_t place) {
  if (place >= COUNT) return NULL;
  ops[place] = (Op){.version = API_VERSION,
                    .get_name = get_name,
                    .get_provider = get_provider,
                    .get_input_type = get_input_type,
                    .get_input_count = get_input_count,
                    .get_output_type = get_output_type,
                    .get_output_count = get_output_count,
                    .destroy = destroy,
                    .get_input_characteristic = get_characteristic,
                    .get_output_characteristic = get_characteristic,
                    .get_input_memory = get_input_memory,
                    .create_kernel_v2 = create,
                    .compute_v2 = compute,
                    .kernel = &KERNELS[place]};
  return &ops[place];
}
