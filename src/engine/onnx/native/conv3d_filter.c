/**
 * @file The gradient of a convolution with any kernel and stride for its weights.
 *
 * It is a sum over positions of products of dy and lines of neighbourhoods (neighbourhoods.h). Positions are split into parts
 * and the results into blocks, each for a task; which depends on the shapes alone, so the sums are the same for any threads.
 */
#include "conv3d.h"
#include "kernels.h"
#include "tile.h"

/** Positions of a product, the length of its sums. */
#define BLOCK_POSITIONS 256
/** Channels of dy that lie together: a multiple of MR and of LANES. */
#define WIDE (3 * NR / 2)
/** Most channels of dy of a task; their block stays in the second cache. */
#define MAX_FILTERS 288
/** Strips of a task, as far as there are as many, so that it pays to pack dy for them. */
#define MIN_STRIPS 8
#define MIN_TASKS 16
/** Filters that are finished at a time. */
#define FINISH_FILTERS 4

typedef struct {
  Neighbourhoods x;
  const float *dy;
  float *dweight;
  long filters, positions;
  /** Strips of NR columns of each line, and of all lines. */
  long line_strips, strips;
  /** Tasks: parts of the positions × blocks of filters × blocks of strips. */
  long parts, part_positions, filter_blocks, block_filters, strip_blocks, block_strips;
  /** Sums [parts, strips, filters up to whole tiles, NR]. */
  float *sums;
  long sum_strip, sum_part;
  _Atomic int out_of_memory;
} Gradient;

/** Lines of some neighbourhoods that are inside of the map as a whole, or null. */
typedef struct {
  Place place[BLOCK_POSITIONS];
  const float *line[BLOCK_POSITIONS];
} Lines;

/** Packs `count` rows of dy in blocks of WIDE channels. */
static void pack_slopes(const Gradient *s, long position, long count, long filter, long filters, float *to) {
  for (long p = 0; p < count; p++) {
    const float *row = s->dy + (position + p) * s->filters + filter;
    for (long o = 0; o < filters; o += WIDE) {
      float *block = to + o * BLOCK_POSITIONS + p * WIDE;
      if (filters - o >= WIDE) {
#pragma GCC unroll 4
        for (int v = 0; v < WIDE; v += LANES) store(block + v, load(row + o + v));
      } else {
        memcpy(block, row + o, sizeof(float) * (size_t)(filters - o));
        memset(block + filters - o, 0, sizeof(float) * (size_t)(WIDE - filters + o));
      }
    }
  }
}

static void find_places(const Neighbourhoods *n, long position, long count, Lines *lines) {
  Place place = position_at(n, position);
  for (long p = 0; p < count; p++, advance(n, &place)) lines->place[p] = place;
}

static void find_lines(const Neighbourhoods *n, long line, long count, Lines *lines) {
  for (long p = 0; p < count; p++) lines->line[p] = whole_line(n, &lines->place[p], line);
}

/** Packs floats first to first + NR of a line of all neighbourhoods; floats behind the line are zero. */
static void pack_strip(const Neighbourhoods *n, const Lines *lines, long line, long first, long count, float *to) {
  const long size = min_long(NR, line_size(n) - first);
  for (long p = 0; p < count; p++, to += NR) {
    const float *from = lines->line[p] ? lines->line[p] + first : read_line(n, &lines->place[p], line, first, size, to);
    if (size == NR) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) store(to + v * LANES, load(from + v * LANES));
    } else {
      if (from != to) memcpy(to, from, sizeof(float) * (size_t)size);
      memset(to + size, 0, sizeof(float) * (size_t)(NR - size));
    }
  }
}

static void multiply_strip_by(const float *slopes, long filters, const float *strip, long count, float *sums, Store mode) {
  for (long i = 0; i < filters; i += MR) {
    const float *a = slopes + i / WIDE * WIDE * BLOCK_POSITIONS + i % WIDE;
    if (mode == ADD) multiply_tile(MR, count, a, 1, WIDE, strip, sums + i * NR, NR, ADD);
    else multiply_tile(MR, count, a, 1, WIDE, strip, sums + i * NR, NR, OVERWRITE);
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
  float *slopes = borrow((size_t)(round_up(filters, WIDE) * BLOCK_POSITIONS));
  if (!slopes) {
    s->out_of_memory = 1;
    return;
  }
  float strip[BLOCK_POSITIONS * NR] __attribute__((aligned(64)));
  Lines lines;
  const long size = ceil_div(end - first, ceil_div(end - first, BLOCK_POSITIONS));
  for (long position = first; position < end; position += size) {
    const long count = min_long(size, end - position);
    pack_slopes(s, position, count, filter, filters, slopes);
    find_places(&s->x, position, count, &lines);
    for (long n = first_strip; n < end_strip; n++) {
      const long line = n / s->line_strips;
      if (n == first_strip || n % s->line_strips == 0) find_lines(&s->x, line, count, &lines);
      pack_strip(&s->x, &lines, line, n % s->line_strips * NR, count, strip);
      float *sums = s->sums + part * s->sum_part + n * s->sum_strip + filter * NR;
      multiply_strip_by(slopes, filters, strip, count, sums, position == first ? OVERWRITE : ADD);
    }
  }
  give_back(slopes);
}

/** Adds the parts up and turns them into gradients [out, in, t, h, w]. */
static void finish_filters(void *state, size_t index) {
  const Gradient *s = state;
  const long I = s->x.C, L = line_size(&s->x), taps = count_lines(&s->x) * s->x.kernel[AXIS_W];
  const long first = (long)index * FINISH_FILTERS, end = min_long(s->filters, first + FINISH_FILTERS);
  for (long n = 0; n < s->strips; n++) {
    const long line = n / s->line_strips, begin = n % s->line_strips * NR, columns = min_long(NR, L - begin);
    for (long o = first; o < end; o++) {
      vec sum[NV] = {{0}};
      for (long part = 0; part < s->parts; part++)
        for (int v = 0; v < NV; v++) sum[v] += load(s->sums + part * s->sum_part + n * s->sum_strip + o * NR + v * LANES);
      float *to = s->dweight + o * I * taps;
      if (taps == 1) {
        memcpy(to + begin, sum, sizeof(float) * (size_t)columns);
        continue;
      }
      float numbers[NR];
      memcpy(numbers, sum, sizeof(numbers));
      long k = begin / I, i = begin % I;
      for (long c = 0; c < columns; c++) {
        to[i * taps + line * s->x.kernel[AXIS_W] + k] = numbers[c];
        if (++i == I) i = 0, k++;
      }
    }
  }
}

static void choose_tasks(Gradient *s) {
  s->filter_blocks = ceil_div(s->filters, MAX_FILTERS);
  s->block_filters = round_up(ceil_div(s->filters, s->filter_blocks), WIDE);
  s->filter_blocks = ceil_div(s->filters, s->block_filters);
  const long most = s->strips / MIN_STRIPS > 0 ? s->strips / MIN_STRIPS : 1;
  s->strip_blocks = min_long(most, ceil_div(MIN_TASKS, s->filter_blocks));
  s->block_strips = ceil_div(s->strips, s->strip_blocks);
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
  if (s.positions == 0 || g.in == 0 || g.out == 0) {
    memset(s.dweight, 0, sizeof(float) * (size_t)(g.out * line_size(&s.x) * count_lines(&s.x)));
    return NULL;
  }
  s.line_strips = ceil_div(line_size(&s.x), NR);
  s.strips = s.line_strips * count_lines(&s.x);
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
