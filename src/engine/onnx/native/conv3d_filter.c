/**
 * @file The gradient of a convolution with any kernel and stride for its weights: the product of dy, transposed, and the
 * neighbourhoods (neighbourhoods.h).
 *
 * The positions, which are summed over, are split into parts and the result into blocks, each for a task. How depends on the
 * shapes alone, so the sums are the same for any number of threads.
 */
#include "conv3d.h"
#include "kernels.h"
#include "tile.h"

/** Positions of a product, the length of its sums: a strip of each operand stays in the first cache. */
#define BLOCK_POSITIONS 192
/** Strips of neighbourhoods that are packed at a time, because a cache line or more is read at each position. */
#define PACK_STRIPS 4
/** Floats between packed rows: an odd number of cache lines, which spreads a strip over the sets of the cache. */
#define PACKED_ROW ((PACK_STRIPS + 1) * NR)
/** Most channels of dy of a task; their block stays in the second cache. */
#define MAX_FILTERS 288
/** Strips of a task, as far as there are as many, so that it pays to pack dy for them. */
#define MIN_STRIPS 8
#define MIN_TASKS 16
/** Floats of a cache line. */
#define CACHE_LINE 16
/** Filters that are finished at a time. */
#define FINISH_FILTERS 4

typedef struct {
  Neighbourhoods x;
  const float *dy, *end_of_x;
  float *dweight;
  long filters, positions;
  /** Floats of a neighbourhood, and strips of NR of them. */
  long columns, strips;
  /** Tasks: parts of the positions × blocks of filters × blocks of strips. */
  long parts, part_positions, filter_blocks, block_filters, strip_blocks, block_strips;
  /** Sums [parts, strips, filters up to whole tiles, NR]. */
  float *sums;
  long sum_strip, sum_part;
  _Atomic int out_of_memory;
} Gradient;

/** Copies whole vectors, which takes more than `size` floats if there are as many. */
INLINE void copy_part(const Gradient *s, const float *from, long size, float *to) {
  if (size % LANES > 0 && from <= s->end_of_x && from + round_up(size, LANES) > s->end_of_x) {
    memcpy(to, from, sizeof(float) * (size_t)size);
    return;
  }
  for (long j = 0; j < size; j += LANES) store(to + j, load(from + j));
}

/** Packs floats first to end of the neighbourhoods of `count` positions. */
static void pack_neighbourhoods(const Gradient *s, long position, long count, long first, long end, float *to) {
  const Neighbourhoods *n = &s->x;
  const long line = line_size(n), step = n->stride[AXIS_W] * n->C;
  for (long k = first, size; k < end; k += size) {
    size = min_long(line - k % line, end - k);
    Place place = position_at(n, position);
    for (long p = 0, run; p < count; p += run, advance(n, &place, run)) {
      run = row_rest(n, &place, count - p);
      const float *row = row_of(n, &place, k / line);
      const long begin = begin_in_row(n, &place) + k % line;
      float copy[PACKED_ROW], *packed = to + p * PACKED_ROW + (k - first);
      for (long i = 0; i < run; i++)
        copy_part(s, part_of_row(n, row, begin + i * step, size, copy), size, packed + i * PACKED_ROW);
    }
  }
}

/** What the next block of positions reads, which is fetched meanwhile: a part of each row of dy and, by and large, of x. */
typedef struct {
  const float *dy, *x;
  long dy_row, dy_size, x_row, x_size;
  /** Rows, of which `done` are fetched; tiles until then, of which `tile` are computed. */
  long rows, done, tiles, tile;
} Fetch;

/** Finds the rows of x from a position on: as far as these are new, the last line of the neighbourhoods. */
static void find_next_rows(const Gradient *s, long position, long first, long end, Fetch *fetch) {
  const Neighbourhoods *n = &s->x;
  const Place place = position_at(n, position);
  const float *row = row_of(n, &place, n->kernel[AXIS_T] * n->kernel[AXIS_H] - 1);
  const int is_part = n->C == s->columns;
  if (!row) return;
  fetch->x = row + begin_in_row(n, &place) + (is_part ? first : 0);
  fetch->x_row = n->stride[AXIS_W] * n->C;
  fetch->x_size = is_part ? min_long(end, n->C) - first : fetch->x_row;
}

/** Fetches its share of the rows before a tile is computed. */
static void fetch_rows(Fetch *f) {
  const long end = f->rows * ++f->tile / f->tiles;
  for (; f->done < end; f->done++) {
    for (long j = 0; j < f->dy_size; j += CACHE_LINE) __builtin_prefetch(f->dy + f->done * f->dy_row + j);
    for (long j = 0; j < f->x_size; j += CACHE_LINE) __builtin_prefetch(f->x + f->done * f->x_row + j);
  }
}

/** A product of packed rows of dy and a strip of packed neighbourhoods of `count` positions. */
typedef struct {
  const float *slopes, *strip;
  long filters, count;
  float *sums;
  Store mode;
} Product;

INLINE void multiply_rows(const int rows, const int vectors, const Product *s, long filter) {
  const float *a = s->slopes + filter * s->count, *b = s->strip;
  vec sum[MR][NV];
  clear_tile(rows, sum);
#pragma GCC unroll 4
  for (long p = 0; p < s->count; p++, a += MR, b += PACKED_ROW) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[i][v] += splat(a[i]) * load(b + v * LANES);
  }
  store_tile(rows, sum, s->sums + filter * NR, NR, s->mode);
}

/** Computes a product, or adds it. The last tile is lower if only few of its rows exist. */
INLINE void multiply(const int vectors, const Product *s, Fetch *fetch) {
  for (long i = 0; i < s->filters; i += MR) {
    fetch_rows(fetch);
    if (s->filters - i > MR * 2 / 3) multiply_rows(MR, vectors, s, i);
    else if (s->filters - i > MR / 3) multiply_rows(MR * 2 / 3, vectors, s, i);
    else multiply_rows(MR / 3, vectors, s, i);
  }
}

static void sum_task(void *state, size_t index) {
  Gradient *s = state;
  const long part = (long)index / (s->filter_blocks * s->strip_blocks);
  const long filter = (long)index / s->strip_blocks % s->filter_blocks * s->block_filters;
  const long filters = min_long(s->block_filters, s->filters - filter);
  const long first_strip = (long)index % s->strip_blocks * s->block_strips;
  const long end_strip = min_long(s->strips, first_strip + s->block_strips);
  const long first = part * s->part_positions, end = min_long(s->positions, first + s->part_positions);
  float *slopes = borrow(packed_a_size(filters, BLOCK_POSITIONS));
  if (!slopes) {
    s->out_of_memory = 1;
    return;
  }
  float packed[BLOCK_POSITIONS * PACKED_ROW] __attribute__((aligned(64)));
  const long size = ceil_div(end - first, ceil_div(end - first, BLOCK_POSITIONS));
  for (long position = first; position < end; position += size) {
    const long count = min_long(size, end - position);
    Product product = {.slopes = slopes, .filters = filters, .count = count, .mode = position == first ? OVERWRITE : ADD};
    pack_a(slopes, (Matrix){s->dy + position * s->filters + filter, 1, s->filters}, filters, count);
    Fetch fetch = {.rows = min_long(size, end - position - count)};
    fetch.tiles = (end_strip - first_strip) * ceil_div(filters, MR);
    fetch.dy = s->dy + (position + count) * s->filters + filter;
    fetch.dy_row = s->filters;
    fetch.dy_size = filters;
    if (fetch.rows > 0) find_next_rows(s, position + count, first_strip * NR, end_strip * NR, &fetch);
    for (long group = first_strip; group < end_strip; group += PACK_STRIPS) {
      const long end_group = min_long(end_strip, group + PACK_STRIPS);
      pack_neighbourhoods(s, position, count, group * NR, min_long(end_group * NR, s->columns), packed);
      for (long n = group; n < end_group; n++) {
        product.strip = packed + (n - group) * NR;
        product.sums = s->sums + part * s->sum_part + n * s->sum_strip + filter * NR;
        if (s->columns - n * NR <= LANES) multiply(1, &product, &fetch);
        else multiply(NV, &product, &fetch);
      }
    }
  }
  give_back(slopes);
}

/** Adds the parts up and turns them into gradients [out, in, t, h, w]. */
static void finish_filters(void *state, size_t index) {
  const Gradient *s = state;
  const long I = s->x.C, taps = s->columns / I;
  const long first = (long)index * FINISH_FILTERS, end = min_long(s->filters, first + FINISH_FILTERS);
  for (long n = 0; n < s->strips; n++) {
    const long columns = min_long(NR, s->columns - n * NR);
    for (long o = first; o < end; o++) {
      vec sum[NV] = {{0}};
      const float *sums = s->sums + n * s->sum_strip + o * NR;
      for (long part = 0; part < s->parts; part++)
        for (int v = 0; v < NV; v++) sum[v] += load(sums + part * s->sum_part + v * LANES);
      float *to = s->dweight + o * s->columns;
      if (taps == 1) {
        memcpy(to + n * NR, sum, sizeof(float) * (size_t)columns);
        continue;
      }
      float numbers[NR];
      memcpy(numbers, sum, sizeof(numbers));
      long tap = n * NR / I, i = n * NR % I;
      for (long c = 0; c < columns; c++) {
        to[i * taps + tap] = numbers[c];
        if (++i == I) i = 0, tap++;
      }
    }
  }
}

static void choose_tasks(Gradient *s) {
  s->filter_blocks = ceil_div(s->filters, MAX_FILTERS);
  s->block_filters = round_up(ceil_div(s->filters, s->filter_blocks), MR);
  s->filter_blocks = ceil_div(s->filters, s->block_filters);
  const long most = s->strips / MIN_STRIPS > 0 ? s->strips / MIN_STRIPS : 1;
  s->strip_blocks = min_long(most, ceil_div(MIN_TASKS, s->filter_blocks));
  s->block_strips = round_up(ceil_div(s->strips, s->strip_blocks), PACK_STRIPS);
  s->strip_blocks = ceil_div(s->strips, s->block_strips);
  s->parts = min_long(ceil_div(s->positions, BLOCK_POSITIONS), ceil_div(MIN_TASKS, s->filter_blocks * s->strip_blocks));
  s->part_positions = ceil_div(s->positions, s->parts);
  s->parts = ceil_div(s->positions, s->part_positions);
}

/** Operands x and dy; ints as in Geometry. */
const char *conv3d_grad_filter(const Call *call) {
  const Geometry g = geometry_of(call);
  Gradient s = {.x = forward_neighbourhoods(&g, call->in[0]), .dy = call->in[1], .dweight = call->out[0], .filters = g.out};
  s.positions = count_positions(&s.x);
  s.columns = neighbourhood_size(&s.x);
  if (s.positions == 0 || s.columns == 0 || g.out == 0) {
    memset(s.dweight, 0, sizeof(float) * (size_t)(g.out * s.columns));
    return NULL;
  }
  s.end_of_x = s.x.data + g.B * g.extent[AXIS_T] * g.extent[AXIS_H] * g.extent[AXIS_W] * g.in;
  s.strips = ceil_div(s.columns, NR);
  choose_tasks(&s);
  s.sum_strip = round_up(g.out, MR) * NR;
  s.sum_part = s.sum_strip * s.strips;
  const long line = round_up(line_size(&s.x), NR);
  float *memory = borrow((size_t)(s.parts * s.sum_part + line));
  if (!memory) return OUT_OF_MEMORY;
  s.sums = memory + line;
  s.x.zeros = memory;
  memset(memory, 0, sizeof(float) * (size_t)line);
  parallel(call, (size_t)(s.parts * s.filter_blocks * s.strip_blocks), sum_task, &s);
  parallel(call, (size_t)ceil_div(g.out, FINISH_FILTERS), finish_filters, &s);
  give_back(memory);
  return s.out_of_memory ? OUT_OF_MEMORY : NULL;
}
