/** Switching between stacks. */
#pragma once

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace cuda_on_cpu {

/** A flow of control with a stack of its own, or the stack of the thread that starts the others. */
struct Flow {
  /** Lowest address and size of the stack; null for a thread's own. */
  const void *stack = nullptr;
  size_t stack_bytes = 0;
#if defined(__x86_64__) || defined(__aarch64__)
  void *stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
#ifdef __SANITIZE_ADDRESS__
  void *sanitizer_stack = nullptr;
#endif
};

/** Forgets what the sanitizer knows of a stack on which a flow did not reach its end. */
void clear_stack(Flow &flow);

/** Lets a flow start with `entry` on its stack, from the top, when it is switched to. `entry` never returns. */
void prepare_flow(Flow &flow, void (*entry)());

/** Keeps the present flow in `from` and continues `to`. Returns when something switches to `from`. */
void switch_flow(Flow &from, Flow &to);

/** Must be called first thing in `entry`. */
void flow_has_started(Flow &main);

}  // namespace cuda_on_cpu
