/** libcudnn: which graphs have engines, plans as texts, and their execution. */
#include <cinttypes>

#include "cudnn.h"

namespace cuda_on_cpu::cudnn {

std::shared_ptr<Stream> stream_of_handle(const void *handle);

namespace {

/** cudnnBackendNumericalNote_t. */
enum Note { TENSOR_CORE = 0, NONDETERMINISTIC = 4 };

/** Kernels of attention load 16 bytes at a time. */
const int64_t ATTENTION_ALIGNMENT = 16;
/** What all engines ask for at least. */
const int64_t WORKSPACE_BYTES = 16 << 10;

/** The steps of the gradient of attention, as letters: the only graph of several operations that has an engine. */
const char *const GRADIENT = "*s* m*-e tm m-** tm tm";
const char *const ACCUMULATING_GRADIENT = "*s* m*-e tm m-** tm tmi";

char letter_of(const Operation &operation) {
  switch (operation.kind) {
    case OPERATION_MATMUL: return 'm';
    case OPERATION_REDUCTION: return 's';
    case OPERATION_RESHAPE: return 't';
    case OPERATION_SDPA_FWD: return 'A';
    case OPERATION_POINTWISE: break;
    default: return 'C';
  }
  return operation.mode == MUL ? '*' : operation.mode == SUB ? '-' : operation.mode == EXP ? 'e' : 'i';
}

std::string letters_of(const Graph &graph) {
  std::string letters;
  for (const Operation &operation : graph.operations) letters += letter_of(operation);
  return letters;
}

std::string without_spaces(const char *text) {
  std::string kept;
  for (; *text; text++) {
    if (*text != ' ') kept += *text;
  }
  return kept;
}

bool is_gradient(const Graph &graph) { return letters_of(graph) == without_spaces(GRADIENT); }
bool is_accumulating_gradient(const Graph &graph) { return letters_of(graph) == without_spaces(ACCUMULATING_GRADIENT); }

bool is_in_memory(const Tensor &tensor) { return !tensor.is_virtual && !tensor.is_by_value; }

/** bfloat16 tensors with heads at multiples of 16 bytes; sums and statistics are float32. */
void require_attention_layout(const Graph &graph) {
  for (const auto &[id, tensor] : graph.tensors) {
    if (!is_in_memory(tensor)) continue;
    const bool is_wide = tensor.dims[3] > 1 && tensor.element == Element::FLOAT32;
    // The accumulator of a gradient is the exception.
    if (is_wide && !is_accumulating_gradient(graph)) refuse(STATUS_DATA_TYPE, "attention needs bfloat16");
    if (tensor.alignment % ATTENTION_ALIGNMENT) refuse(STATUS_LAYOUT, "attention needs an alignment of 16 bytes");
    const int64_t features = std::min(tensor.dims[2], tensor.dims[3]);
    const bool has_features = tensor.element == Element::BFLOAT16;
    if (has_features && tensor.strides[2] != 1 && tensor.strides[3] != 1) refuse(STATUS_LAYOUT, "the features of a head have gaps");
    if (has_features && tensor.strides[3] == 1 && tensor.dims[3] % 8) {
      refuse(STATUS_SHAPE, "attention needs heads with a multiple of 8 features, not %lld", (long long)features);
    }
  }
}

/** Maps have the channels last, and all tensors the same type. */
void require_convolution_layout(const Graph &graph) {
  const auto &tensors = graph.operations[0].tensors;
  const int kind = graph.operations[0].kind;
  const Element element = graph.tensors.at(tensors[0]).element;
  for (size_t i = 0; i < tensors.size(); i++) {
    const Tensor &tensor = graph.tensors.at(tensors[i]);
    const bool is_weight = i == (kind == CONVOLUTION_BACKWARD_FILTER ? 2u : 1u);
    if (tensor.element != element) refuse(STATUS_DATA_TYPE, "a convolution has tensors of two types");
    if (!is_weight && tensor.strides[1] != 1) refuse(STATUS_LAYOUT, "the channels of a map are not next to each other");
  }
}

std::vector<Engine> convolution_engines(const Graph &graph) {
  require_convolution_layout(graph);
  const Operation &operation = graph.operations[0];
  const bool is_float32 = graph.tensors.at(operation.tensors[0]).element == Element::FLOAT32;
  const Rounding rounding = is_float32 ? Rounding::TF32 : Rounding::NONE;
  std::vector<Engine> engines;
  if (operation.kind == CONVOLUTION_BACKWARD_FILTER) engines.push_back({{TENSOR_CORE, NONDETERMINISTIC}, rounding});
  engines.push_back({{TENSOR_CORE}, rounding});
  if (is_float32) engines.push_back({{}, Rounding::NONE});
  return engines;
}

/** Flat numbers, from which the graph can be made again. */
class Numbers {
 public:
  Numbers() {}
  explicit Numbers(std::vector<int64_t> all) : all_(std::move(all)) {}

  void add(int64_t number) { all_.push_back(number); }
  void add(const std::vector<int64_t> &list) {
    add((int64_t)list.size());
    all_.insert(all_.end(), list.begin(), list.end());
  }
  int64_t next() {
    if (next_ >= all_.size()) refuse(STATUS_BAD_PARAM, "the text of a plan is too short");
    return all_[next_++];
  }
  std::vector<int64_t> next_list() {
    std::vector<int64_t> list((size_t)std::min<int64_t>(next(), 1024));
    for (int64_t &number : list) number = next();
    return list;
  }
  const std::vector<int64_t> &all() const { return all_; }

 private:
  std::vector<int64_t> all_;
  size_t next_ = 0;
};

Numbers numbers_of(const Graph &graph) {
  Numbers numbers;
  numbers.add((int64_t)graph.tensors.size());
  for (const auto &[id, tensor] : graph.tensors) {
    for (const int64_t number : {id, tensor.alignment, (int64_t)tensor.element, (int64_t)tensor.is_virtual, (int64_t)tensor.is_by_value}) {
      numbers.add(number);
    }
    numbers.add(tensor.dims);
    numbers.add(tensor.strides);
  }
  numbers.add((int64_t)graph.operations.size());
  for (const Operation &operation : graph.operations) {
    numbers.add(operation.kind);
    numbers.add(operation.mode);
    for (const auto *list : {&operation.tensors, &operation.padding, &operation.stride}) numbers.add(*list);
  }
  return numbers;
}

Graph graph_of(Numbers &numbers) {
  Graph graph;
  for (int64_t left = numbers.next(); left > 0; left--) {
    Tensor tensor;
    tensor.id = numbers.next();
    tensor.alignment = numbers.next();
    tensor.element = (Element)numbers.next();
    tensor.is_virtual = numbers.next();
    tensor.is_by_value = numbers.next();
    tensor.dims = numbers.next_list();
    tensor.strides = numbers.next_list();
    graph.tensors[tensor.id] = tensor;
  }
  for (int64_t left = numbers.next(); left > 0; left--) {
    Operation operation;
    operation.kind = (int)numbers.next();
    operation.mode = (int)numbers.next();
    for (auto *list : {&operation.tensors, &operation.padding, &operation.stride}) *list = numbers.next_list();
    graph.operations.push_back(operation);
  }
  return graph;
}

int capability() { return 10 * settings.capability_major + settings.capability_minor; }

/** The beginning of a plan's text. */
std::string header() {
  return format("{\"cudnn\":%zu,\"capability\":%d,", settings.cudnn_version, capability());
}

/** The tensors in memory lie in live allocations, and nothing lies in the workspace. */
void check_memory(const Graph &graph, const Bindings &bindings, const char *workspace) {
  const uint64_t first = reinterpret_cast<uint64_t>(workspace), bytes = (uint64_t)workspace_of(graph);
  require_device_memory(first, bytes, STATUS_EXECUTION_FAILED, "the workspace of a plan");
  for (const auto &[id, address] : bindings.addresses) {
    const uint64_t start = reinterpret_cast<uint64_t>(address), length = graph.tensors.at(id).bytes();
    const std::string what = format("the tensor %" PRId64 " of a plan", id);
    require_device_memory(start, length, STATUS_EXECUTION_FAILED, what.c_str());
    if (start < first + bytes && first < start + length) refuse(STATUS_EXECUTION_FAILED, "%s lies in the workspace", what.c_str());
  }
}

Bindings bindings_of(const Graph &graph, const Descriptor &variants) {
  const auto &ids = variants.numbers(VARIANT_PACK_UNIQUE_IDS), &pointers = variants.numbers(VARIANT_PACK_DATA_POINTERS);
  Bindings bindings;
  for (size_t i = 0; i < ids.size(); i++) {
    const auto found = graph.tensors.find(ids[i]);
    const int64_t pointer = pointers[i];
    if (found == graph.tensors.end() || found->second.is_virtual) refuse(STATUS_BAD_PARAM, "the plan needs no tensor %" PRId64, ids[i]);
    if (!pointer) refuse(STATUS_NULL_POINTER, "the address of the tensor %" PRId64 " is null", ids[i]);
    if (pointer % found->second.alignment) {
      refuse(STATUS_MISALIGNED, "the address of the tensor %" PRId64 " is no multiple of %" PRId64, ids[i], found->second.alignment);
    }
    if (found->second.is_by_value) memcpy(&bindings.scalars[ids[i]], reinterpret_cast<void *>(pointer), 4);
    else bindings.addresses[ids[i]] = reinterpret_cast<char *>(pointer);
  }
  for (const auto &[id, tensor] : graph.tensors) {
    const bool is_given = tensor.is_virtual || bindings.addresses.count(id) || bindings.scalars.count(id);
    if (!is_given) refuse(STATUS_BAD_PARAM, "the plan needs the tensor %" PRId64, id);
  }
  return bindings;
}

/** A plan with everything that it runs with. */
struct Run {
  Graph graph;
  Bindings bindings;
  char *workspace;
  Rounding rounding;

  void check() const { check_memory(graph, bindings, workspace); }
  void run() const {
    // What lies in the workspace is lost, whatever the engine.
    memset(workspace, 0xff, (size_t)workspace_of(graph));
    run_graph(graph, bindings, rounding);
  }
};

void execute(const void *handle, const Descriptor &plan, const Descriptor &variants) {
  const auto stream = stream_of_handle(handle);
  char *workspace = variants.has(VARIANT_PACK_WORKSPACE) ? reinterpret_cast<char *>(variants.number(VARIANT_PACK_WORKSPACE)) : nullptr;
  const Rounding rounding = engines_of(plan.graph).at((size_t)plan.engine).rounding;
  const auto run = std::make_shared<Run>(Run{plan.graph, bindings_of(plan.graph, variants), workspace, rounding});
  run->check();
  enqueue(stream, Work{Work::PLAN, [run] { run->check(); }, [run] { run->run(); }});
}

}  // namespace

std::vector<Engine> engines_of(const Graph &graph) {
  if (settings.capability_major < 8) refuse(STATUS_ARCH_MISMATCH, "the stand-in has engines for compute capability 8.0 and newer");
  const std::string letters = letters_of(graph);
  if (letters == "C") return convolution_engines(graph);
  if (letters != "A" && !is_gradient(graph) && !is_accumulating_gradient(graph)) {
    refuse(STATUS_PATTERN, "there is no engine for the operations %s", letters.c_str());
  }
  require_attention_layout(graph);
  return {{{TENSOR_CORE}, Rounding::NONE}};
}

int64_t workspace_of(const Graph &graph) {
  if (!is_gradient(graph)) return WORKSPACE_BYTES;
  // The gradients of all scores in bfloat16, which are as many as those that a sum is subtracted from.
  const Tensor &scores = graph.tensors.at(graph.operations[3].tensors[2]);
  return WORKSPACE_BYTES + 2 * scores.size();
}

std::string plan_to_json(const Graph &graph, int engine) {
  std::string text = header() + format("\"engine\":%d,\"graph\":[", engine);
  const Numbers numbers = numbers_of(graph);
  for (const int64_t number : numbers.all()) text += format("%" PRId64 ",", number);
  text.back() = ']';
  return text + "}";
}

void plan_from_json(const std::string &text, Graph &graph, int &engine) {
  const std::string expected = header();
  if (text.compare(0, expected.size(), expected) != 0) refuse(STATUS_OTHER_VERSION, "the plan is for another version or device");
  const size_t list = text.find('[');
  if (sscanf(text.c_str() + expected.size(), "\"engine\":%d", &engine) != 1 || list == std::string::npos) {
    refuse(STATUS_BAD_PARAM, "the text of a plan is damaged");
  }
  std::vector<int64_t> all;
  for (const char *next = text.c_str() + list + 1; *next && *next != '}';) {
    char *end;
    all.push_back(strtoll(next, &end, 10));
    if (end == next) refuse(STATUS_BAD_PARAM, "the text of a plan is damaged");
    next = end + 1;
  }
  Numbers numbers(all);
  graph = graph_of(numbers);
  if (engine < 0 || (size_t)engine >= engines_of(graph).size()) refuse(STATUS_BAD_PARAM, "the text of a plan is damaged");
}

}  // namespace cuda_on_cpu::cudnn

EXPORTED int cudnnBackendExecute(void *handle, void *plan, void *variants) {
  return call(__func__, [&] {
    require_context();
    cudnn::execute(handle, *cudnn::finalized_descriptor(plan, cudnn::EXECUTION_PLAN),
                   *cudnn::finalized_descriptor(variants, cudnn::VARIANT_PACK));
  });
}
