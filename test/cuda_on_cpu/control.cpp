/** Counting and failing calls, settings, and the functions by which tests look inside. */
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "cudnn.h"
#include "library.h"

namespace cuda_on_cpu {

Counters counters;
std::recursive_mutex library_mutex;
Settings settings;

namespace {

struct PlannedFailure {
  uint64_t calls_until;
  int code;
};

std::unordered_map<std::string, PlannedFailure> planned_failures;
std::map<std::string, uint64_t> calls_by_name;
std::string last_problem;
std::string answer;

uint64_t number_from_environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, nullptr, 10) : otherwise;
}

const bool settings_are_read = (read_settings(), true);

}  // namespace

std::string format(const char *text, ...) {
  char buffer[1024];
  va_list values;
  va_start(values, text);
  vsnprintf(buffer, sizeof buffer, text, values);
  va_end(values);
  return buffer;
}

void refuse(int code, const char *text, ...) {
  char buffer[1024];
  va_list values;
  va_start(values, text);
  vsnprintf(buffer, sizeof buffer, text, values);
  va_end(values);
  throw Refusal{code, buffer};
}

void read_settings() {
  settings.devices = (int)number_from_environment("CUDA_ON_CPU_DEVICES", 1);
  settings.memory_bytes = number_from_environment("CUDA_ON_CPU_MEMORY", 8ull << 30);
  settings.is_idle = number_from_environment("CUDA_ON_CPU_IDLE", 0) != 0;
  settings.queue_length = number_from_environment("CUDA_ON_CPU_QUEUE", 64);
  settings.seed = number_from_environment("CUDA_ON_CPU_SEED", 0);
  settings.threads = (unsigned)number_from_environment("CUDA_ON_CPU_THREADS", 1);
  if (settings.threads == 0) settings.threads = 1;
  settings.cudnn_version = number_from_environment("CUDA_ON_CPU_CUDNN", 92400);
  const char *capability = getenv("CUDA_ON_CPU_CAPABILITY");
  settings.capability_major = 8;
  settings.capability_minor = 0;
  if (capability) sscanf(capability, "%d.%d", &settings.capability_major, &settings.capability_minor);
}

int enter_call(const char *name) {
  counters.calls++;
  calls_by_name[name]++;
  const auto planned = planned_failures.find(name);
  if (planned == planned_failures.end() || --planned->second.calls_until > 0) return 0;
  const int code = planned->second.code;
  planned_failures.erase(planned);
  return code;
}

void keep_problem(const char *name, const std::string &problem) { last_problem = std::string(name) + ": " + problem; }

const std::string &kept_problem() { return last_problem; }

namespace {

std::string counters_json() {
  const Counters &c = counters;
  const std::pair<const char *, uint64_t> fields[] = {
      {"calls", c.calls},
      {"launches", c.launches},
      {"graphLaunches", c.graph_launches},
      {"launchesInGraphs", c.launches_in_graphs},
      {"products", c.products},
      {"plans", c.plans},
      {"copies", c.copies},
      {"memsets", c.memsets},
      {"synchronizations", c.synchronizations},
      {"compilations", c.compilations},
      {"modulesLoaded", c.modules_loaded},
      {"allocations", c.allocations},
      {"frees", c.frees},
      {"bytesInUse", c.bytes_in_use},
      {"peakBytes", c.peak_bytes},
      {"leakedAllocations", c.leaked_allocations},
  };
  std::string text = "{";
  for (const auto &[name, value] : fields) {
    text += format("%s\"%s\":%llu", text.size() > 1 ? "," : "", name, (unsigned long long)value);
  }
  return text + "}";
}

/** Memory stays in use when the counters start again. */
void reset_counters() {
  const uint64_t bytes = counters.bytes_in_use;
  counters = Counters{};
  counters.bytes_in_use = counters.peak_bytes = bytes;
  calls_by_name.clear();
}

}  // namespace
}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

/** Lets the n-th call from now on of a function return `code` without doing anything; n = 1 is the next. */
EXPORTED void cudaOnCpuFail(const char *function, uint64_t n, int code) {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  if (n == 0) planned_failures.erase(function);
  else planned_failures[function] = {n, code};
}

/** Calls of a function since the counters were reset. */
EXPORTED uint64_t cudaOnCpuCalls(const char *function) {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  const auto found = calls_by_name.find(function);
  return found == calls_by_name.end() ? 0 : found->second;
}

/** The counters as JSON. The text lives until the next call. */
EXPORTED const char *cudaOnCpuCounters() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  return (answer = counters_json()).c_str();
}

/** The live allocations as JSON: [{"address", "bytes"}]. The text lives until the next call. */
EXPORTED const char *cudaOnCpuLiveAllocations() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  return (answer = live_allocations_json()).c_str();
}

/** What was wrong with the last call that was refused, with the name of its function; empty if there was none. */
EXPORTED const char *cudaOnCpuLastProblem() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  return (answer = last_problem).c_str();
}

EXPORTED void cudaOnCpuResetCounters() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  reset_counters();
}

/** Reads the environment again, for what is queued and allocated from now on. */
EXPORTED void cudaOnCpuReadSettings() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  read_settings();
}

/** As if the library were loaded anew: frees everything, forgets everything, and reads the environment again. */
EXPORTED void cudaOnCpuReset() {
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  cudnn::reset_cudnn();
  nccl::reset_nccl();
  reset_streams();
  reset_modules();
  reset_driver();
  free_all_memory();
  planned_failures.clear();
  last_problem.clear();
  reset_counters();
  read_settings();
}
