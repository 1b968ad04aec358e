/**
 * @file The gradients of convolutions for their weights (winograd.h).
 *
 * A task sums the points (f, g, ·) of some channels of dy over a part of the tiles. The parts depend on the shapes alone, so
 * the sums are the same for any number of threads.
 */
#include "winograd.h"
#include "kernels.h"
#include "tile.h"
#include <string.h>
#include <unistd.h>

/** Tiles of a product: the length of its sums. */
#define SUM_TILES 96
/** Tiles of a round, after which all tasks wait for each other, so that they read the same part of the maps. */
#define ROUND_TILES 768
/** Channels of dy that lie together: a multiple of MR and of LANES. */
#define WIDE (3 * NR / 2)
/** Rows of the result that a task finishes. */
#define FINISH_ROWS 8
/** Parts of the tiles × pairs that there should be, and the fewest tiles of a part. */
#define MIN_SUMS 16
#define MIN_TILES 256
/** Tasks for each processor, and the fewest channels of dy of one. */
#define PROCESSOR_TASKS 2
#define MIN_FILTERS 64

typedef struct {
  Map x, dy;
  float *dweight;
  /** Tasks: parts of the tiles × pairs × blocks of channels of dy. */
  long parts, part_tiles, filter_blocks, block_filters;
  /** Sums of the points [parts, points, O, I], with rows and columns up to whole tiles of a product. */
  float *sums;
  long sum_row, sum_point, sum_part;
  /** The first tile of the round, counted from the first one of a part. */
  long round;
  _Atomic int out_of_memory;
} Gradient;

/** Some channels of dy. */
typedef struct {
  long first, count;
} Span;

/** Adds the products of the points of `tiles` tiles for some channels of dy to sums, or overwrites them. */
static void add_products(const Gradient *s, const float *slopes, const float *points, Span filters, long tiles, float *sums,
                         Store mode) {
  for (long j = 0; j < s->x.C; j += NR)
    for (long i = 0; i < filters.count; i += MR) {
      const float *a = slopes + i / WIDE * WIDE * SUM_TILES + i % WIDE, *b = points + j * SUM_TILES;
      float *c = sums + (filters.first + i) * s->sum_row + j;
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
  const int pair = (int)((long)index / s->filter_blocks % pairs_of(&s->x));
  const long part = (long)index / s->filter_blocks / pairs_of(&s->x), filter = (long)index % s->filter_blocks * s->block_filters;
  const Span filters = {filter, min_long(s->block_filters, s->dy.C - filter)};
  const long start = part * s->part_tiles + s->round;
  const long end = min_long(min_long(start + ROUND_TILES, (part + 1) * s->part_tiles), count_tiles(&s->x));
  Map dy = s->dy;
  dy.data += filters.first;
  dy.C = filters.count;
  const long I = s->x.C, O = filters.count;
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
  for (long first = start; first < end; first += SUM_TILES) {
    const long count = min_long(SUM_TILES, end - first);
    const Store mode = first > part * s->part_tiles ? ADD : OVERWRITE;
    transform_tiles(&s->x, NEIGHBOURHOOD, first, count, pair, points, columns);
    transform_tiles(&dy, SLOPE, first, count, pair, slopes, columns);
    for (int h = 0; h < ROW; h++) {
      float *sums = s->sums + part * s->sum_part + (pair * ROW + h) * s->sum_point;
      add_products(s, slopes.to + h * slopes.point, points.to + h * points.point, filters, count, sums, mode);
    }
  }
  give_back(points.to);
}

/** Turns the sums of some rows into gradients. */
static void finish_rows(void *state, size_t index) {
  const Gradient *s = state;
  const long begin = (long)index * FINISH_ROWS, end = min_long(s->dy.C, begin + FINISH_ROWS), I = s->x.C;
  const int points_count = points_of(&s->x), taps_count = taps_of(&s->x);
  float points[MAX_POINTS * NR], taps[MAX_TAPS * NR];
  for (long o = begin; o < end; o++)
    for (long i = 0; i < I; i += NR) {
      const float *sums = s->sums + o * s->sum_row + i;
      for (int p = 0; p < points_count; p++) {
        memcpy(points + p * NR, sums + p * s->sum_point, sizeof(float) * NR);
        for (long part = 1; part < s->parts; part++)
          for (int k = 0; k < NR; k++) points[p * NR + k] += sums[part * s->sum_part + p * s->sum_point + k];
      }
      restore_kernel(s->x.depth, points, taps);
      float *to = s->dweight + (o * I + i) * taps_count;
      for (long j = 0; j < min_long(NR, I - i); j++)
        for (int tap = 0; tap < taps_count; tap++) to[j * taps_count + tap] = taps[tap * NR + j];
    }
}

/** Chooses parts, on which the sums depend, by the shapes; and blocks of channels, on which they do not, by the processors. */
static void choose_tasks(Gradient *s, long tiles) {
  const long pairs = pairs_of(&s->x), most_parts = tiles / MIN_TILES, most_blocks = s->dy.C / MIN_FILTERS;
  s->parts = min_long(ceil_div(MIN_SUMS, pairs), most_parts > 0 ? most_parts : 1);
  s->part_tiles = ceil_div(tiles, s->parts);
  s->parts = ceil_div(tiles, s->part_tiles);
  const long wanted = ceil_div(PROCESSOR_TASKS * sysconf(_SC_NPROCESSORS_ONLN), pairs * s->parts);
  s->filter_blocks = min_long(wanted, most_blocks);
  if (s->filter_blocks < 1) s->filter_blocks = 1;
  s->block_filters = round_up(ceil_div(s->dy.C, s->filter_blocks), MR);
  s->filter_blocks = ceil_div(s->dy.C, s->block_filters);
}

const char *winograd_grad_filter(const Call *call, Map x, Map dy, float *dweight) {
  const long O = dy.C, tiles = count_tiles(&x);
  const int points = points_of(&x);
  if (tiles == 0 || O == 0) {
    memset(dweight, 0, sizeof(float) * (size_t)(O * x.C * taps_of(&x)));
    return NULL;
  }
  Gradient s = {.x = x, .dy = dy, .dweight = dweight};
  choose_tasks(&s, tiles);
  s.sum_row = round_up(x.C, NR);
  // A distance that is no power of two spreads the points over the sets of the caches.
  s.sum_point = round_up(O, MR) * s.sum_row + NR;
  s.sum_part = points * s.sum_point;
  s.sums = borrow((size_t)(s.parts * s.sum_part));
  if (!s.sums) return OUT_OF_MEMORY;
  for (s.round = 0; s.round < s.part_tiles; s.round += ROUND_TILES)
    parallel(call, (size_t)(s.parts * pairs_of(&x) * s.filter_blocks), sum_task, &s);
  parallel(call, (size_t)ceil_div(O, FINISH_ROWS), finish_rows, &s);
  give_back(s.sums);
  return s.out_of_memory ? OUT_OF_MEMORY : NULL;
}
