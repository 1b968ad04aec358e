/** Switching between stacks: in assembly for x86-64 and arm64, with ucontext elsewhere (seven times slower). */
#include "fibers.h"

#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace cuda_on_cpu {

#if defined(__x86_64__) || defined(__aarch64__)

/** Pushes the registers that a call keeps, stores the stack pointer, takes the other one, and pops its registers. */
extern "C" void cuda_on_cpu_switch_stacks(void **stored, void *next);

#endif

#if defined(__x86_64__)

asm(R"(
  .text
  .type cuda_on_cpu_switch_stacks, @function
cuda_on_cpu_switch_stacks:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");

void prepare_flow(Flow &flow, void (*entry)()) {
  const uintptr_t end = reinterpret_cast<uintptr_t>(flow.stack) + flow.stack_bytes;
  auto **top = reinterpret_cast<void **>(end & ~uintptr_t{15});
  // As after a call: the stack pointer is 8 below a multiple of 16 when `entry` starts.
  *--top = nullptr;
  *--top = reinterpret_cast<void *>(entry);
  flow.stack_pointer = top - 6;
}

#elif defined(__aarch64__)

asm(R"(
  .text
  .type cuda_on_cpu_switch_stacks, %function
cuda_on_cpu_switch_stacks:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");

void prepare_flow(Flow &flow, void (*entry)()) {
  const uintptr_t end = (reinterpret_cast<uintptr_t>(flow.stack) + flow.stack_bytes) & ~uintptr_t{15};
  auto **frame = reinterpret_cast<void **>(end - 160);
  frame[10] = nullptr;
  frame[11] = reinterpret_cast<void *>(entry);
  flow.stack_pointer = frame;
}

#else

void prepare_flow(Flow &flow, void (*entry)()) {
  getcontext(&flow.context);
  flow.context.uc_stack.ss_sp = const_cast<void *>(flow.stack);
  flow.context.uc_stack.ss_size = flow.stack_bytes;
  flow.context.uc_link = nullptr;
  makecontext(&flow.context, entry, 0);
}

#endif

void clear_stack(Flow &flow) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(flow.stack, flow.stack_bytes);
#else
  (void)flow;
#endif
}

void switch_flow(Flow &from, Flow &to) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.sanitizer_stack, to.stack, to.stack_bytes);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
  cuda_on_cpu_switch_stacks(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.sanitizer_stack, nullptr, nullptr);
#endif
}

void flow_has_started(Flow &main) {
#ifdef __SANITIZE_ADDRESS__
  const void *stack;
  size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
  // Only a thread's own flow is without the bounds of its stack; the first fiber learns them.
  if (!main.stack) {
    main.stack = stack;
    main.stack_bytes = bytes;
  }
#else
  (void)main;
#endif
}

}  // namespace cuda_on_cpu
