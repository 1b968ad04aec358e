/** @file What kernels share that work on one element after the other: tasks for the threads, and vectors at the end of a range. */
#pragma once
#include "kernel.h"
#include <string.h>

/** Elements of a task. Smaller operations are done before another thread has woken up. */
#define CHUNK (1L << 16)

/** Elements from `first` to before `end`. */
typedef struct {
  long first, end;
} Range;

/** Runs `body` for each chunk of `size` elements. */
static inline void parallel_chunks(const Call *call, long size, Body *body, void *state) {
  parallel(call, (size_t)ceil_div(size, CHUNK), body, state);
}

static inline Range chunk_at(size_t index, long size) {
  const long first = (long)index * CHUNK;
  return (Range){first, min_long(first + CHUNK, size)};
}

/** Loads `count` floats, at most LANES; the other lanes are 0. With a constant count of LANES it is an ordinary load. */
static inline __attribute__((always_inline)) vec load_some(const float *from, long count) {
  if (count == LANES) return load(from);
  float lanes[LANES] = {0};
  memcpy(lanes, from, sizeof(float) * (size_t)count);
  return load(lanes);
}

static inline __attribute__((always_inline)) void store_some(float *to, vec x, long count) {
  if (count == LANES) {
    store(to, x);
    return;
  }
  float lanes[LANES];
  store(lanes, x);
  memcpy(to, lanes, sizeof(float) * (size_t)count);
}
