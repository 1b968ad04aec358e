/** @file GELU and the gradients of GELU and ReLU, each in one pass. */
#include "kernels.h"
#include "pointwise.h"
#include "pointwise_math.h"

/** A function of one or two tensors of `size` elements; `b` is null for one tensor. */
typedef struct {
  const float *a, *b;
  float *result;
  long size;
} Function;

/** x·Φ(x). */
static inline vec gelu_of(vec x, vec unused) {
  (void)unused;
  return x * normal_at(x).cdf;
}

/** dy·(Φ(x) + x·φ(x)). */
static inline vec gelu_grad_of(vec dy, vec x) {
  const float density_of_bell = 0x1.988454p-2f;  // 1/√(2π)
  const Normal normal = normal_at(x);
  return dy * (normal.cdf + x * normal.bell * density_of_bell);
}

/** dy where y is positive, else 0. */
static inline vec relu_grad_of(vec dy, vec y) { return pick(y > 0, dy, splat(0)); }

/** Applies a function, known to the compiler, to a chunk. */
static inline __attribute__((always_inline)) void apply(const Function *f, size_t index, vec (*function)(vec, vec)) {
  const Range range = chunk_at(index, f->size);
  const float *a = f->a, *b = f->b ? f->b : f->a;
  for (long i = range.first; i < range.end; i += LANES) {
    const long count = min_long(LANES, range.end - i);
    if (count == LANES)
      store(f->result + i, function(load(a + i), load(b + i)));
    else
      store_some(f->result + i, function(load_some(a + i, count), load_some(b + i, count)), count);
  }
}

static void gelu_chunk(void *f, size_t index) { apply(f, index, gelu_of); }
static void gelu_grad_chunk(void *f, size_t index) { apply(f, index, gelu_grad_of); }
static void relu_grad_chunk(void *f, size_t index) { apply(f, index, relu_grad_of); }

static const char *apply_to_all(const Call *call, Body *chunk) {
  Function f = {call->in[0], call->in[1], call->out[0], call->ints[0]};
  parallel_chunks(call, f.size, chunk, &f);
  return NULL;
}

/** Operand x; ints size. */
const char *gelu(const Call *call) { return apply_to_all(call, gelu_chunk); }
/** Operands dy and x; ints size. */
const char *gelu_grad(const Call *call) { return apply_to_all(call, gelu_grad_chunk); }
/** Operands dy and y; ints size. */
const char *relu_grad(const Call *call) { return apply_to_all(call, relu_grad_chunk); }
