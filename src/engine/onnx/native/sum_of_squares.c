/** @file Sums of squares. */
#include "kernels.h"
#include "pointwise.h"

/** Elements whose squares are added up in single precision. */
#define SHORT 4096

typedef struct {
  const float *x;
  long size;
  /** One for each chunk. */
  double *sums;
} SumOfSquares;

static float sum_short(const float *x, long size) {
  vec sums[4] = {{0}};
  long i = 0;
  for (; i + 4 * LANES <= size; i += 4 * LANES)
    for (int k = 0; k < 4; k++) sums[k] += load(x + i + k * LANES) * load(x + i + k * LANES);
  for (; i < size; i += LANES) {
    const vec last = load_some(x + i, min_long(LANES, size - i));
    sums[0] += last * last;
  }
  return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void sum_chunk(void *state, size_t index) {
  const SumOfSquares *s = state;
  const Range range = chunk_at(index, s->size);
  double sum = 0;
  for (long i = range.first; i < range.end; i += SHORT) sum += sum_short(s->x + i, min_long(SHORT, range.end - i));
  s->sums[index] = sum;
}

/** Operand x; ints size. Result: one number, infinite if it is too large for single precision. */
const char *sum_of_squares(const Call *call) {
  SumOfSquares s = {.x = call->in[0], .size = call->ints[0]};
  const size_t chunks = (size_t)ceil_div(s.size, CHUNK);
  s.sums = (double *)borrow(2 * chunks);
  if (!s.sums) return OUT_OF_MEMORY;
  parallel_chunks(call, s.size, sum_chunk, &s);
  double sum = 0;
  for (size_t i = 0; i < chunks; i++) sum += s.sums[i];
  *(float *)call->out[0] = (float)sum;
  give_back((float *)s.sums);
  return NULL;
}
