/** @file Convolution 3×3×3 and its gradient for the input (winograd.h). Each task computes some tiles from start to end. */
#include "winograd.h"
#include "kernels.h"
#include "tile.h"
#include <string.h>

/** Most floats of the points of a task, in and out; they take most of the second cache. */
#define TASK_FLOATS 98304
/** Tasks that a convolution should have at least, and the fewest tiles for which it pays to read all weights. */
#define MIN_TASKS 16
#define MIN_TILES 12
/** Channels of the sum whose kernels are transformed at a time. */
#define KERNEL_CHANNELS 32

/** A row of A: the factors of the four points for one result. */
static const float A[2][ROW] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

typedef struct {
  Map from;
  /** Weights [O, I, 27]: distances of a channel of the sum and of one of the result, and the order of the taps. */
  const float *weight;
  long sum_stride, result_stride;
  int mirrored;
  /** The result and its channels. */
  float *to;
  long channels;
  /** Packed weights of each point, `weight_point` floats apart. */
  float *packed;
  long weight_point;
  long tiles, task_tiles;
  _Atomic int out_of_memory;
} Convolution;

static long columns_of(const Convolution *c) { return round_up(c->channels, NR); }

/** Transforms and packs a strip of weights. */
static void pack_weights(void *state, size_t index) {
  const Convolution *c = state;
  const long strips = ceil_div(c->channels, NR), K = c->from.C;
  const long n = (long)index % strips * NR, begin = (long)index / strips * KERNEL_CHANNELS;
  const long end = min_long(K, begin + KERNEL_CHANNELS), columns = min_long(NR, c->channels - n);
  float taps[TAPS * NR] = {0}, points[POINTS * NR];
  for (long k = begin; k < end; k++) {
    for (long j = 0; j < columns; j++) {
      const float *kernel = c->weight + k * c->sum_stride + (n + j) * c->result_stride;
      if (c->mirrored)
        for (int tap = 0; tap < TAPS; tap++) taps[tap * NR + j] = kernel[TAPS - 1 - tap];
      else
        for (int tap = 0; tap < TAPS; tap++) taps[tap * NR + j] = kernel[tap];
    }
    transform_kernel(taps, points);
    float *to = c->packed + n * K + k * NR;
    for (int p = 0; p < POINTS; p++) memcpy(to + p * c->weight_point, points + p * NR, sizeof(float) * NR);
  }
}

/** Multiplies the points [rows, K] of tiles with packed weights [K, columns]. */
static void multiply_points(long rows, long columns, long K, const float *points, const float *weights, float *products) {
  for (long j = 0; j < columns; j += NR)
    for (long i = 0; i < rows; i += MR)
      multiply_tile(MR, K, points + i * K, K, 1, weights + j * K, products + i * columns + j, columns, OVERWRITE);
}

/** Leads four points along W, `point` floats apart, to two results in the places of the first and the last one. */
static void restore_columns(float *m, long point, long n) {
  float *restrict first = m, *restrict last = m + 3 * point;
  const float *restrict m1 = m + point, *restrict m2 = m + 2 * point;
  for (long c = 0; c < n; c++) {
    first[c] += m1[c] + m2[c];
    last[c] = m1[c] - m2[c] - last[c];
  }
}

static void add_scaled(float *restrict y, const float *x, long n, float factor, Store mode) {
  if (mode == ADD)
    for (long c = 0; c < n; c++) y[c] += factor * x[c];
  else
    for (long c = 0; c < n; c++) y[c] = factor * x[c];
}

/** Adds the products of the points (f, g, ·), `point` floats apart, to the results of a tile. */
static void add_tile(const Convolution *c, Tile tile, int pair, float *products, long point) {
  const Map *map = &c->from;
  const int f = pair / ROW, g = pair % ROW;
  const long n = c->channels;
  restore_columns(products, point, n);
  for (int i = 0; i < 4; i++) {
    const long t = tile.t + i / 2, h = tile.h + i % 2;
    const float factor = A[i / 2][f] * A[i % 2][g];
    if (factor == 0 || t >= map->T || h >= map->H) continue;
    // The first pair (f, g) with a factor for a result has the numbers of the result in the tile.
    const Store mode = f == i / 2 && g == i % 2 ? OVERWRITE : ADD;
    float *y = c->to + (((tile.b * map->T + t) * map->H + h) * map->W + tile.w) * n;
    add_scaled(y, products, n, factor, mode);
    if (tile.w + 1 < map->W) add_scaled(y + n, products + 3 * point, n, factor, mode);
  }
}

static void convolve_task(void *state, size_t index) {
  Convolution *c = state;
  const long K = c->from.C, columns = columns_of(c);
  const long first = (long)index * c->task_tiles, count = min_long(c->task_tiles, c->tiles - first);
  const long rows = round_up(count, MR), point = rows * K, product = rows * columns;
  float *points = borrow((size_t)(ROW * (point + product)) + columns_size(K));
  if (!points) {
    c->out_of_memory = 1;
    return;
  }
  float *products = points + ROW * point, *memory = products + ROW * product;
  for (int h = 0; h < ROW; h++) memset(points + h * point + count * K, 0, sizeof(float) * (size_t)((rows - count) * K));
  for (int pair = 0; pair < PAIRS; pair++) {
    transform_tiles(&c->from, NEIGHBOURHOOD, first, count, pair, (Layout){points, point, 0, K}, memory);
    for (int h = 0; h < ROW; h++)
      multiply_points(rows, columns, K, points + h * point, c->packed + (pair * ROW + h) * c->weight_point,
                      products + h * product);
    for (long i = 0; i < count; i++)
      add_tile(c, tile_at(&c->from, first + i), pair, products + i * columns, product);
  }
  give_back(points);
}

static const char *convolve(const Call *call, Convolution *c) {
  const long K = c->from.C, columns = columns_of(c);
  c->tiles = count_tiles(&c->from);
  const long most = TASK_FLOATS / (ROW * (K + columns) + 1), fair = ceil_div(c->tiles, MIN_TASKS);
  c->task_tiles = round_up(fair < MIN_TILES ? MIN_TILES : fair, MR);
  if (c->task_tiles > most) c->task_tiles = most < MR ? MR : most / MR * MR;
  // A distance that is no power of two spreads the points over the sets of the caches.
  c->weight_point = columns * K + NR;
  c->packed = borrow((size_t)(POINTS * c->weight_point));
  if (!c->packed) return OUT_OF_MEMORY;
  parallel(call, (size_t)(columns / NR * ceil_div(K, KERNEL_CHANNELS)), pack_weights, c);
  parallel(call, (size_t)ceil_div(c->tiles, c->task_tiles), convolve_task, c);
  give_back(c->packed);
  return c->out_of_memory ? OUT_OF_MEMORY : NULL;
}

/** Operands x [B, T, H, W, I] and weight [O, I, 3, 3, 3]; ints B, T, H, W, I, O. */
const char *conv3x3x3(const Call *call) {
  const long I = call->ints[4], O = call->ints[5];
  Convolution c = {.from = map_of(call->in[0], call->ints, I), .weight = call->in[1], .to = call->out[0], .channels = O};
  c.sum_stride = TAPS;
  c.result_stride = I * TAPS;
  return convolve(call, &c);
}

/** The convolution of dy [B, T, H, W, O] with the mirrored kernel; operands and ints otherwise as above. */
const char *conv3x3x3_grad_input(const Call *call) {
  const long I = call->ints[4], O = call->ints[5];
  Convolution c = {.from = map_of(call->in[0], call->ints, O), .weight = call->in[1], .to = call->out[0], .channels = I};
  c.sum_stride = I * TAPS;
  c.result_stride = TAPS;
  c.mirrored = 1;
  return convolve(call, &c);
}
