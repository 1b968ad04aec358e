/**
 * Runs the blocks of a kernel. A kernel without barriers is a loop over the threads of the block. With barriers, each CUDA thread
 * is a fiber that runs until it waits; the last thread to reach a barrier makes the others ready and goes on.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "fibers.h"
#include "library.h"

namespace cuda_on_cpu {
namespace {

const unsigned WARP = 32;
#ifdef __SANITIZE_ADDRESS__
const size_t STACK_BYTES = 256 << 10;
#else
const size_t STACK_BYTES = 64 << 10;
#endif
const size_t GUARD_BYTES = 4096;

/** Where a fault in a kernel of this thread continues; null outside of kernels. */
thread_local sigjmp_buf *fault_exit = nullptr;

struct Fault {
  int signal;
  struct sigaction previous;
};

Fault faults[] = {{SIGSEGV, {}}, {SIGBUS, {}}, {SIGILL, {}}, {SIGFPE, {}}};

void handle_fault(int signal, siginfo_t *info, void *context) {
  if (fault_exit) siglongjmp(*fault_exit, signal);
  for (Fault &fault : faults) {
    if (fault.signal != signal) continue;
    if (fault.previous.sa_flags & SA_SIGINFO) return fault.previous.sa_sigaction(signal, info, context);
    if (fault.previous.sa_handler != SIG_DFL && fault.previous.sa_handler != SIG_IGN) {
      return fault.previous.sa_handler(signal);
    }
    // The faulting instruction runs again, now with the default action.
    sigaction(signal, &fault.previous, nullptr);
  }
}

void handle_faults() {
#ifndef __SANITIZE_ADDRESS__
  static const bool is_done = [] {
    struct sigaction action = {};
    action.sa_sigaction = handle_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (Fault &fault : faults) sigaction(fault.signal, &action, &fault.previous);
    return true;
  }();
  (void)is_done;
#endif
}

[[noreturn]] void refuse_fault(int signal, const Kernel &kernel, const Place &place) {
  const auto block = format("kernel %s, block (%u, %u, %u)", kernel.name, place.index[0], place.index[1], place.index[2]);
  switch (signal) {
    case SIGILL:
      refuse(MISALIGNED_ADDRESS, "%s: an access is not aligned to the size of its type", block.c_str());
    case SIGFPE:
      refuse(LAUNCH_FAILED, "%s: an integer is divided by zero", block.c_str());
    default:
      refuse(ILLEGAL_ADDRESS, "%s: an access to memory that does not exist", block.c_str());
  }
}

}  // namespace

struct BlockRunner::Fibers {
  enum State { READY, WAITS_FOR_BLOCK, WAITS_FOR_WARP, ENDED };

  struct Fiber {
    Flow flow;
    State state;
    int line;
    /** Which of the two sets of slots of its warp the next shuffle uses. */
    unsigned shuffles;
  };

  struct Warp {
    unsigned members, arrived;
    int line;
    unsigned slots[2][WARP];
  };

  Flow main;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  /** Ready fibers, a ring; none is in it twice. */
  std::vector<unsigned> ready;
  size_t ready_begin = 0, ready_count = 0;
  unsigned count = 0, current = 0, ended = 0, arrived = 0;
  int barrier_line = 0;
  std::string failure;
  const Kernel *kernel = nullptr;
  const Place *place = nullptr;
  const char *arguments = nullptr;

  ~Fibers() {
    for (Fiber &fiber : fibers) {
      auto *stack = static_cast<char *>(const_cast<void *>(fiber.flow.stack));
      munmap(stack - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
    }
  }

  void grow(unsigned threads) {
    while (fibers.size() < threads) {
      void *memory = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) refuse(OUT_OF_MEMORY, "there is no memory for the stacks of %u threads", threads);
      mprotect(memory, GUARD_BYTES, PROT_NONE);
      Fiber fiber{};
      fiber.flow.stack = static_cast<char *>(memory) + GUARD_BYTES;
      fiber.flow.stack_bytes = STACK_BYTES;
      fibers.push_back(fiber);
    }
  }

  void push_ready(unsigned fiber) {
    fibers[fiber].state = READY;
    size_t place = ready_begin + ready_count++;
    if (place >= count) place -= count;
    ready[place] = fiber;
  }

  /** Continues the next ready fiber, or the main flow if there is none. Returns when the present fiber is continued. */
  void leave(Flow &own) {
    if (ready_count == 0) return switch_flow(own, main);
    current = ready[ready_begin];
    if (++ready_begin == count) ready_begin = 0;
    ready_count--;
    switch_flow(own, fibers[current].flow);
  }

  /** Gives up the block: none of its fibers is continued. */
  void fail(const std::string &problem) {
    failure = problem;
    ready_count = 0;
    leave(fibers[current].flow);
  }

  void wait(State state, int line) {
    Fiber &fiber = fibers[current];
    fiber.state = state;
    fiber.line = line;
    leave(fiber.flow);
  }

  void wait_for_block(int line) {
    if (arrived == 0) barrier_line = line;
    if (barrier_line != line) {
      fail(format("threads wait at __syncthreads in line %d and others in line %d", barrier_line, line));
    }
    if (++arrived < count) return wait(WAITS_FOR_BLOCK, line);
    arrived = 0;
    for (unsigned fiber = 0; fiber < count; fiber++) {
      if (fiber != current) push_ready(fiber);
    }
  }

  void wait_for_warp(int line) {
    const unsigned first = current / WARP * WARP;
    Warp &warp = warps[current / WARP];
    if (warp.arrived == 0) warp.line = line;
    if (warp.line != line) {
      fail(format("threads of a warp wait in line %d and others in line %d", warp.line, line));
    }
    if (++warp.arrived < warp.members) return wait(WAITS_FOR_WARP, line);
    warp.arrived = 0;
    for (unsigned fiber = first; fiber < first + warp.members; fiber++) {
      if (fiber != current) push_ready(fiber);
    }
  }

  /**
   * The slots of two shuffles suffice: a thread can only write to those of the next but one after all threads of the warp have
   * read from these.
   */
  unsigned shuffle(int line, unsigned mask, unsigned bits, unsigned from) {
    if (mask != ~0u) fail(format("the shuffle in line %d has the mask 0x%x instead of all threads", line, mask));
    unsigned *slots = warps[current / WARP].slots[fibers[current].shuffles++ % 2];
    slots[current % WARP] = bits;
    wait_for_warp(line);
    return slots[from % WARP];
  }

  /** How the threads of a block that cannot go on are waiting. */
  std::string describe_waiting() const {
    std::map<std::pair<State, int>, unsigned> groups;
    for (unsigned i = 0; i < count; i++) groups[{fibers[i].state, fibers[i].line}]++;
    std::string text;
    for (const auto &[group, threads] : groups) {
      if (!text.empty()) text += ", ";
      text += format("%u threads ", threads);
      if (group.first == WAITS_FOR_BLOCK) text += format("wait at __syncthreads in line %d", group.second);
      else if (group.first == WAITS_FOR_WARP) text += format("wait for their warp in line %d", group.second);
      else text += "have ended";
    }
    return "the threads wait for each other for ever: " + text;
  }

  void start(unsigned threads) {
    grow(threads);
    count = threads;
    if (ready.size() < threads) ready.resize(threads);
    warps.resize((threads + WARP - 1) / WARP);
    for (unsigned w = 0; w < warps.size(); w++) {
      warps[w].members = std::min(WARP, threads - w * WARP);
      warps[w].arrived = 0;
      // A lane that does not exist gives NaN.
      memset(warps[w].slots, 0xff, sizeof warps[w].slots);
    }
    ready_begin = ready_count = ended = arrived = 0;
    failure.clear();
    unsigned next = place->first;
    for (unsigned i = 0; i < threads; i++) {
      clear_stack(fibers[next].flow);
      prepare_flow(fibers[next].flow, enter);
      fibers[next].line = 0;
      fibers[next].shuffles = 0;
      push_ready(next);
      next = (next + place->step) % threads;
    }
  }

  /** Runs all threads of a block to their ends; false if they cannot reach them. */
  bool run(const Kernel &kernel_, const Place &place_, const char *arguments_) {
    kernel = &kernel_;
    place = &place_;
    arguments = arguments_;
    start(place_.block[0] * place_.block[1] * place_.block[2]);
    leave(main);
    if (failure.empty() && ended < count) failure = describe_waiting();
    return failure.empty();
  }

  static void enter();
};

namespace {
/** Those of the block that this thread runs. */
thread_local BlockRunner::Fibers *running_fibers = nullptr;
}  // namespace

void BlockRunner::Fibers::enter() {
  Fibers &fibers = *running_fibers;
  flow_has_started(fibers.main);
  fibers.kernel->run_thread(*fibers.place, fibers.current, fibers.arguments);
  Fiber &fiber = fibers.fibers[fibers.current];
  fiber.state = ENDED;
  fiber.line = 0;
  fibers.ended++;
  fibers.leave(fiber.flow);
}

BlockRunner::BlockRunner() : fibers_(std::make_unique<Fibers>()) {}
BlockRunner::~BlockRunner() = default;

void BlockRunner::run(const Kernel &kernel, const Place &place, const char *arguments) {
  handle_faults();
  if (kernel.shared_begin) memset(kernel.shared_begin, 0xff, kernel.shared_end - kernel.shared_begin);
  running_fibers = fibers_.get();
  sigjmp_buf exit;
  if (const int signal = sigsetjmp(exit, 0)) {
    fault_exit = nullptr;
    refuse_fault(signal, kernel, place);
  }
  fault_exit = &exit;
  bool succeeded = true;
  if (kernel.run_block) kernel.run_block(place, arguments);
  else succeeded = fibers_->run(kernel, place, arguments);
  fault_exit = nullptr;
  if (!succeeded) {
    refuse(LAUNCH_FAILED, "kernel %s, block (%u, %u, %u): %s", kernel.name, place.index[0], place.index[1],
           place.index[2], fibers_->failure.c_str());
  }
}

const Waiting WAITING = {
    [](int line) { running_fibers->wait_for_block(line); },
    [](int line) { running_fibers->wait_for_warp(line); },
    [](int line, unsigned mask, unsigned bits, unsigned from) {
      return running_fibers->shuffle(line, mask, bits, from);
    },
};

}  // namespace cuda_on_cpu
