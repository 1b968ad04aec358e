/** @file Layer normalisation of rows, and its gradients, in passes over rows that are in the cache. */
#include "kernels.h"
#include "pointwise.h"
#include "row_blocks.h"

/** What a row is normalised with: (x − mean)·scale. */
typedef struct {
  float mean, scale;
} Moments;

/** Sums, over a row, of its elements minus `mean`, or of their squares. Four sums hide the latency of the additions. */
static inline __attribute__((always_inline)) float sum_row(const float *row, long width, float mean, int squared) {
  vec sums[4] = {{0}};
  const vec centre = splat(mean);
  long j = 0;
  for (; j + 4 * LANES <= width; j += 4 * LANES)
    for (int k = 0; k < 4; k++) {
      const vec x = load(row + j + k * LANES) - centre;
      sums[k] += squared ? x * x : x;
    }
  for (; j < width; j += LANES) {
    const long count = min_long(LANES, width - j);
    // Lanes without an element are 0 in both terms.
    const vec x = load_some(row + j, count) - load_some((const float *)&centre, count);
    sums[0] += squared ? x * x : x;
  }
  return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static Moments moments_of(const float *row, long width, float eps) {
  const float mean = sum_row(row, width, 0, 0) / (float)width;
  const float variance = sum_row(row, width, mean, 1) / (float)width;
  return (Moments){mean, 1 / __builtin_sqrtf(variance + eps)};
}

/** A row and where its results go. */
typedef struct {
  const float *x, *dy, *weight, *bias;
  /** y, or dx. */
  float *result;
  /** Sums for dweight and dbias of the rows of a block; null without a weight. */
  float *dweight, *dbias;
  Moments moments;
} Row;

static inline __attribute__((always_inline)) vec normalised(const Row *r, long j, long count) {
  return (load_some(r->x + j, count) - r->moments.mean) * r->moments.scale;
}

/** The gradient of the normalised x. */
static inline __attribute__((always_inline)) vec slope(const Row *r, long j, long count) {
  const vec dy = load_some(r->dy + j, count);
  return r->weight ? dy * load_some(r->weight + j, count) : dy;
}

static inline __attribute__((always_inline)) void store_normalised(const Row *r, long j, long count) {
  vec y = normalised(r, j, count);
  if (r->weight) y *= load_some(r->weight + j, count);
  if (r->bias) y += load_some(r->bias + j, count);
  store_some(r->result + j, y, count);
}

/** Sums over a row of the slopes, and of their products with the normalised x. */
typedef struct {
  vec plain, along;
} SlopeSums;

/** Adds part of a row to its sums and to those of its block. */
static inline __attribute__((always_inline)) void add_slopes(const Row *r, SlopeSums *sums, long j, long count) {
  const vec xhat = normalised(r, j, count), dxhat = slope(r, j, count);
  sums->plain += dxhat;
  sums->along += dxhat * xhat;
  if (!r->weight) return;
  const vec dy = load_some(r->dy + j, count);
  store_some(r->dweight + j, load_some(r->dweight + j, count) + dy * xhat, count);
  store_some(r->dbias + j, load_some(r->dbias + j, count) + dy, count);
}

/** dx = (dxhat − mean(dxhat) − xhat·mean(dxhat·xhat))·scale. */
static inline __attribute__((always_inline)) void store_gradient(const Row *r, SlopeSums means, long j, long count) {
  const vec dx = slope(r, j, count) - means.plain - normalised(r, j, count) * means.along;
  store_some(r->result + j, dx * r->moments.scale, count);
}

static void normalise_row(const Row *r, long width) {
  long j = 0;
  for (; j + LANES <= width; j += LANES) store_normalised(r, j, LANES);
  if (j < width) store_normalised(r, j, width - j);
}

static void differentiate_row(const Row *r, long width) {
  SlopeSums sums[2] = {0};
  long j = 0;
  for (; j + 2 * LANES <= width; j += 2 * LANES)
    for (int k = 0; k < 2; k++) add_slopes(r, &sums[k], j + k * LANES, LANES);
  for (; j < width; j += LANES) add_slopes(r, &sums[0], j, min_long(LANES, width - j));
  const SlopeSums means = {
      .plain = splat(sum_of_lanes(sums[0].plain + sums[1].plain) / (float)width),
      .along = splat(sum_of_lanes(sums[0].along + sums[1].along) / (float)width),
  };
  for (j = 0; j + LANES <= width; j += LANES) store_gradient(r, means, j, LANES);
  if (j < width) store_gradient(r, means, j, width - j);
}

/** The whole operation. */
typedef struct {
  /** The first row; `dweight` is the start of the sums of all blocks, [blocks, dweight and dbias, width]. */
  Row first;
  RowBlocks blocks;
  float eps;
} LayerNorm;

static Row row_at(const LayerNorm *l, long i) {
  const long at = i * l->blocks.width;
  Row r = l->first;
  r.x += at;
  r.result += at;
  r.moments = moments_of(r.x, l->blocks.width, l->eps);
  return r;
}

static void normalise_block(void *state, size_t index) {
  const LayerNorm *l = state;
  const Rows rows = rows_at(&l->blocks, index);
  for (long i = rows.first; i < rows.end; i++) {
    const Row r = row_at(l, i);
    normalise_row(&r, l->blocks.width);
  }
}

static void differentiate_block(void *state, size_t index) {
  const LayerNorm *l = state;
  const long width = l->blocks.width;
  const Rows rows = rows_at(&l->blocks, index);
  float *sums = l->first.weight ? l->first.dweight + (long)index * 2 * width : NULL;
  if (sums) memset(sums, 0, sizeof(float) * 2 * (size_t)width);
  for (long i = rows.first; i < rows.end; i++) {
    Row r = row_at(l, i);
    r.dy += i * width;
    r.dweight = sums;
    r.dbias = sums ? sums + width : NULL;
    differentiate_row(&r, width);
  }
}

/** Operands x and, together, weight and bias; ints rows, width; floats eps. */
const char *layer_norm(const Call *call) {
  LayerNorm l = {
      .first = {.x = call->in[0], .weight = call->in[1], .bias = call->in[2], .result = call->out[0]},
      .blocks = split_rows(call->ints[0], call->ints[1]),
      .eps = call->floats[0],
  };
  parallel(call, (size_t)l.blocks.count, normalise_block, &l);
  return NULL;
}

/** Operands dy, x and, if wanted, weight; ints rows, width; floats eps. Results dx and, with a weight, dweight and dbias. */
const char *layer_norm_grad(const Call *call) {
  LayerNorm l = {
      .first = {.dy = call->in[0], .x = call->in[1], .weight = call->in[2], .result = call->out[0]},
      .blocks = split_rows(call->ints[0], call->ints[1]),
      .eps = call->floats[0],
  };
  const size_t width = (size_t)l.blocks.width;
  if (l.first.weight) {
    l.first.dweight = borrow((size_t)l.blocks.count * 2 * width);
    if (!l.first.dweight) return OUT_OF_MEMORY;
  }
  parallel(call, (size_t)l.blocks.count, differentiate_block, &l);
  if (l.first.weight) {
    add_vectors(l.first.dweight, l.first.dweight, l.blocks.count, 2 * l.blocks.width);
    memcpy(call->out[1], l.first.dweight, sizeof(float) * width);
    memcpy(call->out[2], l.first.dweight + width, sizeof(float) * width);
    give_back(l.first.dweight);
  }
  return NULL;
}
