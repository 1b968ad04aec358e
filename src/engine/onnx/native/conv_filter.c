/**
 * @file The gradient of a convolution 3×3×3 for its weights (winograd.h).
 *
 * Each task owns the points (f, g, ·) and sums over tiles, so that no sum is split between threads.
 */
#include "winograd.h"
#include "kernels.h"
#include "tile.h"
#include <string.h>

/** Tiles of a product: the length of its sums. */
#define SUM_TILES 96
/** Tiles of a round, after which all tasks wait for each other, so that they read the same part of the maps. */
#define ROUND_TILES 768
/** Channels of dy that lie together: a multiple of MR and of LANES. */
#define WIDE (3 * NR / 2)
/** Rows of the result that a task finishes. */
#define FINISH_ROWS 8

typedef struct {
  Map x, dy;
  float *dweight;
  /** Sums of the points [64, O, I], with rows and columns up to whole tiles of a product. */
  float *sums;
  long sum_row, sum_point;
  /** The tiles of the round. */
  long first, count;
  _Atomic int out_of_memory;
} Gradient;

/** Adds the products of the points of `tiles` tiles to sums, or overwrites them. */
static void add_products(const Gradient *s, const float *slopes, const float *points, long tiles, float *sums, Store mode) {
  for (long j = 0; j < s->x.C; j += NR)
    for (long i = 0; i < s->dy.C; i += MR) {
      const float *a = slopes + i / WIDE * WIDE * SUM_TILES + i % WIDE, *b = points + j * SUM_TILES;
      float *c = sums + i * s->sum_row + j;
      if (mode == ADD) multiply_tile(MR, tiles, a, 1, WIDE, b, c, s->sum_row, ADD);
      else multiply_tile(MR, tiles, a, 1, WIDE, b, c, s->sum_row, OVERWRITE);
    }
}

/** Makes the channels zero that fill up the last block of `layout`. */
static void clear_last_block(Layout layout, long C) {
  if (C % layout.width == 0) return;
  for (int h = 0; h < ROW; h++)
    memset(layout.to + h * layout.point + C / layout.width * layout.block, 0, sizeof(float) * (size_t)layout.block);
}

static void sum_task(void *state, size_t index) {
  Gradient *s = state;
  const int pair = (int)index;
  const long I = s->x.C, O = s->dy.C;
  Layout points = {NULL, round_up(I, NR) * SUM_TILES, NR * SUM_TILES, NR};
  Layout slopes = {NULL, round_up(O, WIDE) * SUM_TILES, WIDE * SUM_TILES, WIDE};
  points.to = borrow((size_t)(ROW * (points.point + slopes.point)) + columns_size(I > O ? I : O));
  if (!points.to) {
    s->out_of_memory = 1;
    return;
  }
  slopes.to = points.to + ROW * points.point;
  float *columns = slopes.to + ROW * slopes.point;
  clear_last_block(points, I);
  clear_last_block(slopes, O);
  for (long i = 0; i < s->count; i += SUM_TILES) {
    const long first = s->first + i, count = min_long(SUM_TILES, s->count - i);
    transform_tiles(&s->x, NEIGHBOURHOOD, first, count, pair, points, columns);
    transform_tiles(&s->dy, SLOPE, first, count, pair, slopes, columns);
    for (int h = 0; h < ROW; h++)
      add_products(s, slopes.to + h * slopes.point, points.to + h * points.point, count,
                   s->sums + (pair * ROW + h) * s->sum_point, first > 0 ? ADD : OVERWRITE);
  }
  give_back(points.to);
}

/** Turns the sums of some rows into gradients. */
static void finish_rows(void *state, size_t index) {
  const Gradient *s = state;
  const long begin = (long)index * FINISH_ROWS, end = min_long(s->dy.C, begin + FINISH_ROWS), I = s->x.C;
  float points[POINTS * NR], taps[TAPS * NR];
  for (long o = begin; o < end; o++)
    for (long i = 0; i < I; i += NR) {
      const float *sums = s->sums + o * s->sum_row + i;
      for (int p = 0; p < POINTS; p++) memcpy(points + p * NR, sums + p * s->sum_point, sizeof(float) * NR);
      restore_kernel(points, taps);
      float *to = s->dweight + (o * I + i) * TAPS;
      for (long j = 0; j < min_long(NR, I - i); j++)
        for (int tap = 0; tap < TAPS; tap++) to[j * TAPS + tap] = taps[tap * NR + j];
    }
}

/** Operands x [B, T, H, W, I] and dy [B, T, H, W, O]; ints B, T, H, W, I, O. The result is dweight [O, I, 3, 3, 3]. */
const char *conv3x3x3_grad_filter(const Call *call) {
  const long I = call->ints[4], O = call->ints[5];
  Gradient s = {.x = map_of(call->in[0], call->ints, I), .dy = map_of(call->in[1], call->ints, O)};
  s.dweight = call->out[0];
  s.sum_row = round_up(I, NR);
  // A distance that is no power of two spreads the points over the sets of the caches.
  s.sum_point = round_up(O, MR) * s.sum_row + NR;
  s.sums = borrow((size_t)(POINTS * s.sum_point));
  if (!s.sums) return OUT_OF_MEMORY;
  const long tiles = count_tiles(&s.x);
  if (tiles == 0) memset(s.sums, 0, sizeof(float) * (size_t)(POINTS * s.sum_point));
  for (s.first = 0; s.first < tiles; s.first += ROUND_TILES) {
    s.count = min_long(ROUND_TILES, tiles - s.first);
    parallel(call, PAIRS, sum_task, &s);
  }
  parallel(call, (size_t)ceil_div(O, FINISH_ROWS), finish_rows, &s);
  give_back(s.sums);
  return s.out_of_memory ? OUT_OF_MEMORY : NULL;
}
