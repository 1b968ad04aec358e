/** @file The update of one parameter by Adam or AdamW in one pass (kernel_contract.ts, AdamUpdate). */
#include "kernels.h"
#include "pointwise.h"

typedef struct {
  const float *weight, *grad, *exp_avg, *exp_avg_sq;
  float *new_weight, *new_exp_avg, *new_exp_avg_sq;
  /** ADAM_SCALARS of the contract. */
  struct {
    float decay, l2, beta1, one_minus_beta1, beta2, one_minus_beta2, eps, step_size;
  } scalars;
  int decoupled;
  long size;
} Update;

static inline vec square_root(vec x) {
  vec root;
  for (int i = 0; i < LANES; i++) root[i] = __builtin_sqrtf(x[i]);
  return root;
}

static inline __attribute__((always_inline)) void update_vector(const Update *u, long i, long count) {
  const vec weight = load_some(u->weight + i, count);
  const vec grad = load_some(u->grad + i, count);
  const vec shrunk = u->decoupled ? weight * u->scalars.decay : weight;
  const vec slope = u->decoupled ? grad : grad + weight * u->scalars.l2;
  const vec old = load_some(u->exp_avg + i, count), old_sq = load_some(u->exp_avg_sq + i, count);
  const vec average = old * u->scalars.beta1 + slope * u->scalars.one_minus_beta1;
  const vec average_sq = old_sq * u->scalars.beta2 + slope * slope * u->scalars.one_minus_beta2;
  const vec change = average / (square_root(average_sq) + u->scalars.eps) * u->scalars.step_size;
  store_some(u->new_weight + i, shrunk - change, count);
  store_some(u->new_exp_avg + i, average, count);
  store_some(u->new_exp_avg_sq + i, average_sq, count);
}

static void update_chunk(void *state, size_t index) {
  // A copy, because stores through pointers to floats could change the scalars.
  const Update u = *(const Update *)state;
  const Range range = chunk_at(index, u.size);
  long i = range.first;
  for (; i + LANES <= range.end; i += LANES) update_vector(&u, i, LANES);
  if (i < range.end) update_vector(&u, i, range.end - i);
}

/** Operands weight, grad, exp_avg, exp_avg_sq and scalars; ints size, decoupled. Results weight, exp_avg, exp_avg_sq. */
const char *adam_update(const Call *call) {
  Update u = {
      .weight = call->in[0],
      .grad = call->in[1],
      .exp_avg = call->in[2],
      .exp_avg_sq = call->in[3],
      .new_weight = call->out[0],
      .new_exp_avg = call->out[1],
      .new_exp_avg_sq = call->out[2],
      .decoupled = call->ints[1] != 0,
      .size = call->ints[0],
  };
  memcpy(&u.scalars, call->in[4], sizeof(u.scalars));
  parallel_chunks(call, u.size, update_chunk, &u);
  return NULL;
}
