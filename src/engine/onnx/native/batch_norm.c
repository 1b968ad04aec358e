/**
 * @file Batch normalisation of maps [B, T, H, W, C], and its gradients.
 *
 * A map is read as rows of `width` floats: of one position, or of several if there are few channels, so that loops along a row
 * are long. Float j of a row belongs to channel j % C. Blocks of positions are summed by themselves and put together in their
 * order, so the results are the same for any number of threads.
 */
#include "kernels.h"
#include "pointwise.h"
#include "row_blocks.h"

#define INLINE static inline __attribute__((always_inline))

/** Fewest floats of a row. */
#define MIN_WIDTH 64
/** Positions of a block whose mean its sums are taken around, so that no digits are lost. */
#define SAMPLE 16
/** Channels of a task that puts blocks together. */
#define CHUNK_CHANNELS 64

typedef struct {
  const float *x, *dy, *y, *residual;
  const float *weight, *bias;
  float eps;
  int relu;
  /** y, or dx; and whether it is streamed. */
  float *result;
  int streams;
  /** Operands or results, [C]. */
  float *mean, *variance, *dweight, *dbias;
  /** Positions. */
  RowBlocks blocks;
  long C, width;
  /** Three vectors of `width` floats for each block. */
  float *sums;
  /** Four vectors of `width` floats. */
  float *factors;
} BatchNorm;

/** The floats of a block, from `first` to before `end`. */
typedef struct {
  long first, end;
} Floats;

static Floats floats_at(const BatchNorm *s, size_t index) {
  const Rows rows = rows_at(&s->blocks, index);
  return (Floats){rows.first * s->C, rows.end * s->C};
}

/** Repeats C floats up to the width. */
static void repeat(float *row, long C, long width) {
  for (long j = C; j < width; j++) row[j] = row[j - C];
}

/** Adds the floats of all positions of a row to those of the first. */
static void fold(float *row, long C, long width) {
  for (long j = C; j < width; j++) row[j % C] += row[j];
}

/** Adds a row, or its first floats, to sums and sums of squares around `centre`. */
static void add_row(const float *x, long n, const float *restrict centre, float *restrict sum, float *restrict squares) {
  for (long j = 0; j < n; j++) {
    const float d = x[j] - centre[j];
    sum[j] += d;
    squares[j] += d * d;
  }
}

/** Adds four rows, which takes fewer loads and stores of the sums. */
static void add_four_rows(const float *x, long n, const float *restrict centre, float *restrict sum, float *restrict squares) {
  for (long j = 0; j < n; j++) {
    const float a = x[j] - centre[j], b = x[j + n] - centre[j], c = x[j + 2 * n] - centre[j], d = x[j + 3 * n] - centre[j];
    sum[j] += (a + b) + (c + d);
    squares[j] += (a * a + b * b) + (c * c + d * d);
  }
}

/** The mean of a block, as a distance from a centre, and the sum of squares around it. */
static void sum_block(void *state, size_t index) {
  const BatchNorm *s = state;
  const long C = s->C, width = s->width;
  const Floats f = floats_at(s, index);
  const float positions = (float)((f.end - f.first) / C);
  float *sum = s->sums + (long)index * 3 * width, *squares = sum + width, *centre = squares + width;
  memset(sum, 0, sizeof(float) * 3 * (size_t)width);
  const long sample = min_long(SAMPLE, (f.end - f.first) / C);
  for (long i = 0; i < sample; i++)
    for (long c = 0; c < C; c++) centre[c] += s->x[f.first + i * C + c] / (float)sample;
  repeat(centre, C, width);
  long i = f.first;
  for (; i + 4 * width <= f.end; i += 4 * width) add_four_rows(s->x + i, width, centre, sum, squares);
  for (; i < f.end; i += width) add_row(s->x + i, min_long(width, f.end - i), centre, sum, squares);
  fold(sum, C, width);
  fold(squares, C, width);
  for (long c = 0; c < C; c++) {
    const float distance = sum[c] / positions;
    squares[c] -= sum[c] * distance;
    sum[c] = distance;
  }
}

/** Puts the means and squares of all blocks together (Chan, Golub and LeVeque, 1983). */
static void combine_channels(void *state, size_t index) {
  const BatchNorm *s = state;
  const long first = (long)index * CHUNK_CHANNELS, n = min_long(CHUNK_CHANNELS, s->C - first);
  double mean[CHUNK_CHANNELS] = {0}, squares[CHUNK_CHANNELS] = {0};
  for (int pass = 0; pass < 2; pass++)
    for (long b = 0; b < s->blocks.count; b++) {
      const Rows rows = rows_at(&s->blocks, (size_t)b);
      const double positions = (double)(rows.end - rows.first), share = positions / (double)s->blocks.rows;
      const float *distance = s->sums + b * 3 * s->width + first;
      const float *around = distance + s->width, *centre = around + s->width;
      for (long c = 0; c < n; c++) {
        const double own = (double)centre[c] + distance[c];
        if (pass == 0) mean[c] += share * own;
        else squares[c] += around[c] + positions * (own - mean[c]) * (own - mean[c]);
      }
    }
  for (long c = 0; c < n; c++) {
    s->mean[first + c] = (float)mean[c];
    const double variance = squares[c] / (double)s->blocks.rows;
    s->variance[first + c] = (float)(variance < 0 ? 0 : variance);
  }
}

static float rstd_of(const BatchNorm *s, long c) { return 1 / __builtin_sqrtf(s->variance[c] + s->eps); }

/** Stores a vector of the result, or some floats of one. */
INLINE void store_result(const BatchNorm *s, long at, vec x, long count) {
  if (s->streams && count == LANES) stream(s->result + at, x);
  else store_some(s->result + at, x, count);
}

INLINE void normalise(const BatchNorm *s, long at, long j, long count) {
  const float *factors = s->factors + j;
  const vec mean = load_some(factors, count), scale = load_some(factors + s->width, count);
  vec y = (load_some(s->x + at + j, count) - mean) * scale + load_some(factors + 2 * s->width, count);
  if (s->residual) y += load_some(s->residual + at + j, count);
  // A NaN stays one.
  if (s->relu) y = pick(y <= 0, splat(0), y);
  store_result(s, at + j, y, count);
}

/** dy where y is positive; without a ReLU, dy. */
INLINE float slope_of(const float *dy, const float *y, long j, const int relu) { return !relu || y[j] > 0 ? dy[j] : 0; }

/** Adds slopes, and their products with x − mean, of a row or its first floats. */
INLINE void add_slopes(const BatchNorm *s, long at, long n, float *restrict plain, float *restrict along, const int relu) {
  const float *restrict mean = s->factors, *x = s->x + at, *dy = s->dy + at, *y = s->y + at;
  for (long j = 0; j < n; j++) {
    const float slope = slope_of(dy, y, j, relu);
    plain[j] += slope;
    along[j] += slope * (x[j] - mean[j]);
  }
}

INLINE void sum_slopes(const BatchNorm *s, size_t index, const int relu) {
  const Floats f = floats_at(s, index);
  float *plain = s->sums + (long)index * 3 * s->width, *along = plain + s->width;
  memset(plain, 0, sizeof(float) * 2 * (size_t)s->width);
  for (long i = f.first; i < f.end; i += s->width) add_slopes(s, i, min_long(s->width, f.end - i), plain, along, relu);
  fold(plain, s->C, s->width);
  fold(along, s->C, s->width);
}

static void sum_slopes_of_block(void *state, size_t index) {
  const BatchNorm *s = state;
  if (s->y) sum_slopes(s, index, 1);
  else sum_slopes(s, index, 0);
}

/** Gradients of weight and bias, and factors for the gradient of x. */
static void finish_slopes(const BatchNorm *s) {
  const long width = s->width;
  float *factor = s->factors + width, *along = factor + width, *offset = along + width;
  for (long b = 1; b < s->blocks.count; b++)
    for (long j = 0; j < 2 * width; j++) s->sums[j] += s->sums[b * 3 * width + j];
  const float positions = (float)s->blocks.rows;
  for (long c = 0; c < s->C; c++) {
    const float rstd = rstd_of(s, c), sum = s->sums[width + c];
    s->dbias[c] = s->sums[c];
    s->dweight[c] = sum * rstd;
    factor[c] = s->weight[c] * rstd;
    along[c] = sum * rstd * rstd / positions;
    offset[c] = s->sums[c] / positions;
  }
  repeat(factor, s->C, width);
  repeat(along, s->C, width);
  repeat(offset, s->C, width);
}

/** dx = (slope − mean(slope) − (x − mean)·mean(slope·(x − mean))/variance)·weight/deviation. */
INLINE void differentiate(const BatchNorm *s, long at, long j, long count) {
  const float *factors = s->factors + j;
  const vec mean = load_some(factors, count), factor = load_some(factors + s->width, count);
  const vec along = load_some(factors + 2 * s->width, count), offset = load_some(factors + 3 * s->width, count);
  vec slope = load_some(s->dy + at + j, count);
  if (s->y) slope = pick(load_some(s->y + at + j, count) > 0, slope, splat(0));
  store_result(s, at + j, (slope - offset - (load_some(s->x + at + j, count) - mean) * along) * factor, count);
}

/** The result, which is dx or y. */
INLINE void compute(const BatchNorm *s, const int is_gradient, long at, long j, long count) {
  if (is_gradient) differentiate(s, at, j, count);
  else normalise(s, at, j, count);
}

/** Computes a block of the result. The blocks come in reverse order: the last ones that were summed may still be in a cache. */
INLINE void compute_block(const BatchNorm *s, size_t index, const int is_gradient) {
  const Floats f = floats_at(s, (size_t)s->blocks.count - 1 - index);
  for (long i = f.first; i < f.end; i += s->width) {
    const long n = min_long(s->width, f.end - i);
    long j = 0;
    for (; j + LANES <= n; j += LANES) compute(s, is_gradient, i, j, LANES);
    if (j < n) compute(s, is_gradient, i, j, n - j);
  }
  if (s->streams) end_stream();
}

static void normalise_block(void *state, size_t index) { compute_block(state, index, 0); }
static void differentiate_block(void *state, size_t index) { compute_block(state, index, 1); }

/** Completes a description; ints positions, C. False if there is no memory for sums. */
static int prepare(const Call *call, BatchNorm *s) {
  s->C = call->ints[1];
  s->width = ceil_div(MIN_WIDTH, s->C) * s->C;
  s->blocks = split_rows(call->ints[0], s->C);
  s->eps = call->floats[0];
  s->streams = suits_streaming(s->result, call->ints[0] * s->C, s->C);
  s->factors = borrow((size_t)((4 + 3 * s->blocks.count) * s->width));
  s->sums = s->factors + 4 * s->width;
  return s->factors != NULL;
}

/** Operands x, weight, bias and, if wanted, residual; ints positions, C, relu; floats eps. Results y, mean and variance. */
const char *batch_norm(const Call *call) {
  BatchNorm s = {.x = call->in[0], .weight = call->in[1], .bias = call->in[2], .residual = call->in[3]};
  s.result = call->out[0];
  s.mean = call->out[1];
  s.variance = call->out[2];
  s.relu = (int)call->ints[2];
  if (!prepare(call, &s)) return OUT_OF_MEMORY;
  parallel(call, (size_t)s.blocks.count, sum_block, &s);
  parallel(call, (size_t)ceil_div(s.C, CHUNK_CHANNELS), combine_channels, &s);
  float *mean = s.factors, *scale = mean + s.width, *bias = scale + s.width;
  for (long c = 0; c < s.C; c++) {
    mean[c] = s.mean[c];
    scale[c] = s.weight[c] * rstd_of(&s, c);
    bias[c] = s.bias[c];
  }
  for (int i = 0; i < 3; i++) repeat(s.factors + i * s.width, s.C, s.width);
  parallel(call, (size_t)s.blocks.count, normalise_block, &s);
  give_back(s.factors);
  return NULL;
}

/** Operands dy, x, weight, mean, variance and, if wanted, y; ints and floats likewise. Results dx, dweight and dbias. */
const char *batch_norm_grad(const Call *call) {
  BatchNorm s = {.dy = call->in[0], .x = call->in[1], .weight = call->in[2], .y = call->in[5], .result = call->out[0]};
  s.mean = (float *)call->in[3];
  s.variance = (float *)call->in[4];
  s.dweight = call->out[1];
  s.dbias = call->out[2];
  if (!prepare(call, &s)) return OUT_OF_MEMORY;
  memcpy(s.factors, s.mean, sizeof(float) * (size_t)s.C);
  repeat(s.factors, s.C, s.width);
  parallel(call, (size_t)s.blocks.count, sum_slopes_of_block, &s);
  finish_slopes(&s);
  parallel(call, (size_t)s.blocks.count, differentiate_block, &s);
  give_back(s.factors);
  return NULL;
}
