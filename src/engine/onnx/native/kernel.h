/**
 * @file What the kernels of this folder share: vectors, memory, threads, and their form.
 *
 * The library is compiled for the processor it runs on. It needs GCC or Clang.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#define LANES 8
#else
#error "the processor has neither AVX2 nor AVX-512"
#endif

/** A register of floats. Arithmetic works on all lanes; the compiler contracts a * b + c to one instruction. */
typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
/** A vector anywhere in memory. */
typedef float vec_unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline vec load(const float *from) { return *(const vec_unaligned *)from; }
static inline void store(float *to, vec x) { *(vec_unaligned *)to = x; }
/** Stores past the caches to an aligned place, which saves reading it first; for results that no cache could hold. */
static inline void stream(float *to, vec x) {
#if defined(__clang__)
  __builtin_nontemporal_store(x, (vec *)to);
#elif LANES == 16
  __builtin_ia32_movntps512(to, x);
#else
  __builtin_ia32_movntps256(to, x);
#endif
}
/** Makes streamed results visible to other threads. */
static inline void end_stream(void) { __builtin_ia32_sfence(); }
/** Whether a result of rows of `width` floats is to be streamed. */
static inline int suits_streaming(const float *result, long floats, long width) {
  const long many = 1L << 22;
  return floats >= many && width % LANES == 0 && (uintptr_t)result % sizeof(vec) == 0;
}
static inline vec splat(float x) { return x - (vec){0}; }
/** Picks a where the mask, the result of a comparison, is true, else b. */
static inline vec pick(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
static inline float sum_of_lanes(vec x) {
  float sum = 0;
  for (int i = 0; i < LANES; i++) sum += x[i];
  return sum;
}

static inline long min_long(long a, long b) { return a < b ? a : b; }
static inline long ceil_div(long a, long b) { return (a + b - 1) / b; }
static inline long round_up(long x, long unit) { return ceil_div(x, unit) * unit; }

/** Most operands and results of a kernel. */
#define MAX_OPERANDS 12

/** One run of a kernel. A missing operand is null. `ints` and `floats` are the attributes of the node. */
typedef struct {
  const void *in[MAX_OPERANDS];
  void *out[MAX_OPERANDS];
  const int64_t *ints;
  const float *floats;
  /** The runtime's context, for `parallel`. */
  const void *runtime;
} Call;

/** Part `index` of a task. */
typedef void Body(void *state, size_t index);

/**
 * Runs `body` for every index below `count` on the runtime's threads, which take one index at a time, and waits for all of
 * them. Which thread takes which index is open, so results must not depend on it.
 */
void parallel(const Call *call, size_t count, Body *body, void *state);

/**
 * Memory for intermediate results, aligned to 64 bytes, of undefined content; null if there is none. `give_back` keeps it for
 * later calls, because memory that the system provides anew costs as much as several passes over it.
 */
float *borrow(size_t floats);
void give_back(float *memory);

/** Computes a kernel. Returns null, or why it failed. */
typedef const char *Compute(const Call *call);

/** A kernel as the runtime sees it. `inputs` has one letter for each operand: f float32, i int32. Operands may be missing. */
typedef struct {
  const char *name;
  const char *inputs;
  size_t outputs;
  Compute *compute;
} Kernel;

#define OUT_OF_MEMORY "out of memory for intermediate results"
