/** @file Convolutions and their gradients for the input (winograd.h). Each task computes some tiles from start to end. */
#include "winograd.h"
#include "kernels.h"
#include "tile.h"
#include "transpose.h"
#include <string.h>

/** Most floats of the points of a task, in and out: a part of the second cache, or most of it as long as there are few tiles. */
#define TASK_FLOATS 49152
#define MAX_TASK_FLOATS 98304
#define FEW_TILES 48
/** Tasks that a convolution should have at least, and the fewest columns of one, as far as there are as many. */
#define MIN_TASKS 16
#define MIN_COLUMNS 64
/** Summands of a product, for which a strip of weights stays in the first cache. */
#define BLOCK_K 512
/** Channels of the sum whose kernels are transformed at a time. */
#define KERNEL_CHANNELS 32

/** A row of A: the factors of the four points for one result. */
static const float A[2][ROW] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

typedef struct {
  WinogradConvolution of;
  /** Packed weights of each point, `weight_point` floats apart. */
  float *packed;
  long weight_point;
  long tiles, task_tiles, tile_blocks, task_columns;
  _Atomic int out_of_memory;
} Convolution;

static long columns_of(const Convolution *c) { return round_up(c->of.channels, NR); }

/** Gathers kernels of some channels of the result, which are contiguous: taps [taps, NR]. */
static void gather_taps(const WinogradConvolution *c, const float *kernels, long columns, float *taps) {
  const int count = taps_of(&c->from), last = c->mirrored ? count - 1 : 0, sign = c->mirrored ? -1 : 1;
  int tap = 0;
  for (; tap + LANES <= count && columns == NR; tap += LANES)
    for (int v = 0; v < NV; v++) {
      vec square[LANES];
#pragma GCC unroll 16
      for (int j = 0; j < LANES; j++) square[j] = load(kernels + (v * LANES + j) * c->result_stride + tap);
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < LANES; i++) store(taps + (last + sign * (tap + i)) * NR + v * LANES, square[i]);
    }
  for (; tap < count; tap++)
    for (long j = 0; j < columns; j++) taps[(last + sign * tap) * NR + j] = kernels[j * c->result_stride + tap];
}

/** Transforms and packs a strip of weights. */
static void pack_weights(void *state, size_t index) {
  const Convolution *c = state;
  const long strips = ceil_div(c->of.channels, NR), K = c->of.from.C;
  const int points_count = points_of(&c->of.from);
  const long n = (long)index % strips * NR, begin = (long)index / strips * KERNEL_CHANNELS;
  const long end = min_long(K, begin + KERNEL_CHANNELS), columns = min_long(NR, c->of.channels - n);
  float taps[MAX_TAPS * NR] = {0}, points[MAX_POINTS * NR];
  for (long k = begin; k < end; k++) {
    gather_taps(&c->of, c->of.weight + k * c->of.sum_stride + n * c->of.result_stride, columns, taps);
    transform_kernel(c->of.from.depth, taps, points);
    float *to = c->packed + n * K + k * NR;
    for (int p = 0; p < points_count; p++) memcpy(to + p * c->weight_point, points + p * NR, sizeof(float) * NR);
  }
}

/** Multiplies the points [rows, K] of tiles with packed weights [K, columns]. */
static void multiply_points(long rows, long columns, long K, const float *points, const float *weights, float *products) {
  for (long k = 0; k < K; k += BLOCK_K) {
    const long depth = min_long(BLOCK_K, K - k);
    for (long j = 0; j < columns; j += NR)
      for (long i = 0; i < rows; i += MR) {
        const float *a = points + i * K + k, *b = weights + j * K + k * NR;
        float *c = products + i * columns + j;
        if (k == 0) multiply_tile(MR, depth, a, K, 1, b, c, columns, OVERWRITE);
        else multiply_tile(MR, depth, a, K, 1, b, c, columns, ADD);
      }
  }
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

/** Some columns of the result. */
typedef struct {
  long first, count;
} Columns;

/** Adds bias and residual to the columns of a result at `at`, and applies the ReLU. */
static void finish_result(const WinogradConvolution *c, long at, Columns columns) {
  float *restrict y = c->to + at;
  const long n = columns.count;
  if (c->bias)
    for (long j = 0; j < n; j++) y[j] += c->bias[columns.first + j];
  if (c->residual)
    for (long j = 0; j < n; j++) y[j] += c->residual[at + j];
  if (c->relu)
    for (long j = 0; j < n; j++) y[j] = y[j] <= 0 ? 0 : y[j];
}

/** The last point along an axis with a factor for a result; the first one has the number of the result. */
static int last_point(int result) { return result == 0 ? 2 : 3; }

/** Adds the products of the points (f, g, ·), `point` floats apart, to the results of a tile. */
static void add_tile(const WinogradConvolution *c, Tile tile, int pair, Columns columns, float *products, long point) {
  const Map *map = &c->from;
  const int f = pair / ROW, g = pair % ROW;
  restore_columns(products, point, columns.count);
  for (int i = 0; i < (map->depth == 1 ? 2 : 4); i++) {
    const long t = tile.t + i / 2, h = tile.h + i % 2;
    const float factor = A[i / 2][f] * A[i % 2][g];
    if (factor == 0 || t >= map->T || h >= map->H) continue;
    const Store mode = f == i / 2 && g == i % 2 ? OVERWRITE : ADD;
    const int is_last = (map->depth == 1 || f == last_point(i / 2)) && g == last_point(i % 2);
    const long position = ((tile.b * map->T + t) * map->H + h) * map->W + tile.w;
    for (int w = 0; w < 2 && tile.w + w < map->W; w++) {
      const long at = (position + w) * c->channels + columns.first;
      add_scaled(c->to + at, products + 3 * w * point, columns.count, factor, mode);
      if (is_last) finish_result(c, at, columns);
    }
  }
}

static void convolve_task(void *state, size_t index) {
  Convolution *c = state;
  const Map *map = &c->of.from;
  const long K = map->C, first = (long)index % c->tile_blocks * c->task_tiles;
  const long count = min_long(c->task_tiles, c->tiles - first);
  const Columns block = {(long)index / c->tile_blocks * c->task_columns, c->task_columns};
  const Columns columns = {block.first, min_long(block.count, c->of.channels - block.first)};
  const long width = round_up(columns.count, NR);
  const long rows = round_up(count, MR), point = rows * K, product = rows * width;
  float *points = borrow((size_t)(ROW * (point + product)) + columns_size(K));
  if (!points) {
    c->out_of_memory = 1;
    return;
  }
  float *products = points + ROW * point, *memory = products + ROW * product;
  for (int h = 0; h < ROW; h++) memset(points + h * point + count * K, 0, sizeof(float) * (size_t)((rows - count) * K));
  for (int pair = 0; pair < pairs_of(map); pair++) {
    transform_tiles(map, NEIGHBOURHOOD, first, count, pair, (Layout){points, point, 0, K}, memory);
    for (int h = 0; h < ROW; h++) {
      const float *weights = c->packed + (pair * ROW + h) * c->weight_point + columns.first * K;
      multiply_points(rows, width, K, points + h * point, weights, products + h * product);
    }
    for (long i = 0; i < count; i++)
      add_tile(&c->of, tile_at(map, first + i), pair, columns, products + i * width, product);
  }
  give_back(points);
}

/** Tiles whose points for some columns are in the cache. */
static long tiles_in_cache(const Convolution *c, long columns) {
  const long floats = ROW * (c->of.from.C + columns), tiles = TASK_FLOATS / floats;
  const long most = tiles < FEW_TILES ? min_long(FEW_TILES, MAX_TASK_FLOATS / floats) : tiles;
  return most < MR ? MR : most / MR * MR;
}

/** Splits the result into blocks of many tiles, because each reads all weights, and of some columns if there are few tiles. */
static void choose_blocks(Convolution *c) {
  long blocks = 1;
  c->task_columns = round_up(c->of.channels, NR);
  c->task_tiles = tiles_in_cache(c, c->task_columns);
  while (ceil_div(c->tiles, c->task_tiles) * blocks < MIN_TASKS && c->task_columns / 2 >= MIN_COLUMNS) {
    blocks *= 2;
    c->task_columns = round_up(ceil_div(c->of.channels, blocks), NR);
    c->task_tiles = tiles_in_cache(c, c->task_columns);
  }
  // Blocks of about the same size.
  long tile_blocks = ceil_div(c->tiles, c->task_tiles);
  if (tile_blocks * blocks < MIN_TASKS) tile_blocks = ceil_div(MIN_TASKS, blocks);
  c->task_tiles = round_up(ceil_div(c->tiles, tile_blocks), MR);
  c->tile_blocks = ceil_div(c->tiles, c->task_tiles);
}

const char *winograd_convolve(const Call *call, const WinogradConvolution *convolution) {
  Convolution state = {.of = *convolution}, *c = &state;
  const long K = c->of.from.C, columns = columns_of(c);
  c->tiles = count_tiles(&c->of.from);
  if (c->tiles == 0 || c->of.channels == 0) return NULL;
  choose_blocks(c);
  // A distance that is no power of two spreads the points over the sets of the caches.
  c->weight_point = columns * K + NR;
  c->packed = borrow((size_t)(points_of(&c->of.from) * c->weight_point));
  if (!c->packed) return OUT_OF_MEMORY;
  parallel(call, (size_t)(columns / NR * ceil_div(K, KERNEL_CHANNELS)), pack_weights, c);
  parallel(call, (size_t)(c->tile_blocks * ceil_div(c->of.channels, c->task_columns)), convolve_task, c);
  give_back(c->packed);
  return c->out_of_memory ? OUT_OF_MEMORY : NULL;
}
