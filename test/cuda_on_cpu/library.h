/** What the files of the stand-in share: calls and refusals, handles, memory, streams and compiled kernels. */
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel_interface.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace cuda_on_cpu {

// Results of the driver, with NVIDIA's numbers.
enum CudaCode {
  CUDA_SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  INVALID_PTX = 218,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  LAUNCH_OUT_OF_RESOURCES = 701,
  MISALIGNED_ADDRESS = 716,
  LAUNCH_FAILED = 719,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
  ILLEGAL_STATE = 401,
  GRAPH_UPDATE_FAILURE = 910,
  UNKNOWN = 999,
};

/** Why a call fails: its result, and a sentence for cudaOnCpuLastProblem. */
struct Refusal {
  int code;
  std::string problem;
};

__attribute__((format(printf, 1, 2))) std::string format(const char *text, ...);
[[noreturn]] __attribute__((format(printf, 2, 3))) void refuse(int code, const char *text, ...);

// ---- Calls (control.cpp)

struct Counters {
  uint64_t calls, launches, graph_launches, launches_in_graphs, products, plans, copies, memsets, synchronizations, compilations;
  uint64_t allocations, frees, bytes_in_use, peak_bytes, leaked_allocations, modules_loaded;
};

extern Counters counters;
/** One call at a time; held while queued work runs. */
extern std::recursive_mutex library_mutex;

/** Counts the call; the code that a test wants it to fail with, else 0. */
int enter_call(const char *name);
void keep_problem(const char *name, const std::string &problem);
const std::string &kept_problem();

#ifdef __SANITIZE_ADDRESS__

/** Tells the sanitizer that the stack is another than the thread's, since koffi calls on stacks of its own. */
class AnnouncedStack {
 public:
  AnnouncedStack() {
    const uintptr_t end = (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) | 4095) + 1;
    exchange(reinterpret_cast<void *>(end - BYTES), BYTES, &stack_, &bytes_);
  }
  ~AnnouncedStack() { exchange(stack_, bytes_, nullptr, nullptr); }

 private:
  static constexpr size_t BYTES = 256 << 10;

  static void exchange(const void *stack, size_t bytes, const void **old_stack, size_t *old_bytes) {
    void *kept = nullptr;
    __sanitizer_start_switch_fiber(&kept, stack, bytes);
    __sanitizer_finish_switch_fiber(kept, old_stack, old_bytes);
  }

  const void *stack_ = nullptr;
  size_t bytes_ = 0;
};

#else

struct AnnouncedStack {
  AnnouncedStack() {}
};

#endif

/** Runs the body of a C function: its result is 0, or the code of the Refusal that it throws. */
template <class Body> int call(const char *name, Body body) {
  const AnnouncedStack stack;
  std::lock_guard<std::recursive_mutex> lock(library_mutex);
  if (const int code = enter_call(name)) return code;
  try {
    body();
    return 0;
  } catch (const Refusal &refusal) {
    if (!refusal.problem.empty()) keep_problem(name, refusal.problem);
    return refusal.code;
  }
}

// ---- Settings, read from the environment (control.cpp)

struct Settings {
  int devices, capability_major, capability_minor;
  uint64_t memory_bytes;
  /** Whether kernels, products and plans compute nothing, so that the work of the host can be timed. */
  bool is_idle;
  /** Work that may wait in the queue; with 0 all runs at once. */
  size_t queue_length;
  /** Orders blocks and threads; 0 is the natural order. */
  uint64_t seed;
  unsigned threads;
  /** Such as 92400 for 9.24.0. */
  size_t cudnn_version;
};

extern Settings settings;
void read_settings();

// ---- Handles

/** The live objects of a kind. Handles are numbers that are never used again, so that old ones are recognized. */
template <class T> class Handles {
 public:
  Handles(const char *kind, uintptr_t first) : kind_(kind), first_(first), next_(first) {}

  void *add(std::shared_ptr<T> object) {
    const uintptr_t handle = next_;
    next_ += 16;
    live_[handle] = std::move(object);
    return reinterpret_cast<void *>(handle);
  }

  /** Fails with `code` if there is no such object. */
  std::shared_ptr<T> get(const void *handle, int code = INVALID_HANDLE) const {
    const auto found = live_.find(reinterpret_cast<uintptr_t>(handle));
    if (found != live_.end()) return found->second;
    const uintptr_t value = reinterpret_cast<uintptr_t>(handle);
    const bool was_live = value >= first_ && value < next_ && (value - first_) % 16 == 0;
    refuse(code, was_live ? "the %s %p has been destroyed" : "there is no %s %p", kind_, handle);
  }

  void destroy(const void *handle, int code = INVALID_HANDLE) {
    get(handle, code);
    live_.erase(reinterpret_cast<uintptr_t>(handle));
  }

  void clear() { live_.clear(); }
  size_t size() const { return live_.size(); }
  const std::unordered_map<uintptr_t, std::shared_ptr<T>> &live() const { return live_; }

 private:
  const char *kind_;
  uintptr_t first_, next_;
  std::unordered_map<uintptr_t, std::shared_ptr<T>> live_;
};

// ---- Contexts (driver.cpp)

/** Fails unless a context is current in this thread and no earlier error has made it useless. */
void require_context();
/** The device of the current context. */
int current_device();
/** Makes every later call of the context fail with the same code, as a fault of a kernel does. */
void break_context(const Refusal &refusal);
void reset_driver();

// ---- Memory (memory.cpp)

/** Fails with `code` unless the bytes lie inside one live allocation of the device. `what` names them in the message. */
void require_device_memory(uint64_t address, uint64_t bytes, int code, const char *what);
std::string live_allocations_json();
/** Frees everything; returns the number of allocations that were live. */
size_t free_all_memory();

// ---- Communicators (nccl.cpp)

namespace nccl {
void reset_nccl();
}

// ---- Streams and graphs (streams.cpp)

/** Something queued on a stream. */
struct Work {
  enum Kind { KERNEL, PRODUCT, PLAN, COPY, MEMSET, EVENT } kind;
  /** Throws Refusal if memory that it uses is gone; checked when it is queued and at each launch of its graph. */
  std::function<void()> check;
  std::function<void()> run;
  /** Whether it can run now that it is the first of its stream; without, it always can. */
  std::function<bool()> is_ready = nullptr;
};

struct Stream;

std::shared_ptr<Stream> stream_of(void *handle);
bool is_capturing(const Stream &stream);
/** Queues work, or adds it to the graph that the stream captures. */
void enqueue(const std::shared_ptr<Stream> &stream, Work work);
/** Waits for all queued work. */
void drain();
/** Fails, and ends a capture invalid, if a stream is capturing: for calls that a capture does not allow. */
void forbid_while_capturing();
void reset_streams();

// ---- Kernels (compiler.cpp, kernels.cpp, blocks.cpp)

struct Compilation {
  bool succeeded;
  /** The library of the kernels. */
  std::string path;
  /** Messages of the compiler. */
  std::string log;
};

/** Compiles CUDA C with g++, or finds it in the cache. */
Compilation compile_kernels(const std::string &source, const std::string &name);

/** A cubin of the stand-in. */
std::string make_image(int architecture, const std::string &name, const std::string &source);

void reset_modules();

/** Blocks of a kernel, run by one operating system thread. */
class BlockRunner {
 public:
  BlockRunner();
  ~BlockRunner();
  /** Runs one block. Throws Refusal if its threads can never go on, or if they fault. */
  void run(const Kernel &kernel, const Place &place, const char *arguments);

  struct Fibers;

 private:
  std::unique_ptr<Fibers> fibers_;
};

/** Where the fibers of this thread's block wait. */
extern const Waiting WAITING;

}  // namespace cuda_on_cpu
