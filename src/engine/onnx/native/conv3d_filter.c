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
/** Lines are read where they are if there are so few filters that packing takes long, and if the lines are close and short. */
#define FEW_FILTERS 32
#define CLOSE 32
#define SHORT 256
/** Most channels of dy of a task; their block stays in the second cache. */
#define MAX_FILTERS 288
/** Strips of a task, as far as there are as many, so that it pays to pack dy for them. */
#define MIN_STRIPS 8
#define MIN_TASKS 16
/** Floats of a cache line. */
#define CACHE_LINE 16
/** Filters that are finished at a time. */
#define FINISH_FILTERS 16

typedef struct {
  Neighbourhoods x;
  const float *dy, *end_of_x;
  float *dweight;
  long filters, positions;
  /** Floats of a neighbourhood, and strips of at most NR of them. */
  long columns, strips;
  /** Strips of a line, if lines are read where they are; 0 if neighbourhoods are packed, where strips may belong to two lines. */
  long line_strips;
  /** Tasks: parts of the positions × blocks of filters × blocks of strips. */
  long parts, part_positions, filter_blocks, block_filters, strip_blocks, block_strips;
  /** Sums [parts, strips, filters up to whole tiles, NR]. */
  float *sums;
  long sum_strip, sum_part;
  _Atomic int out_of_memory;
} Gradient;

/** Columns of a strip. */
typedef struct {
  long first, count;
} Columns;

static Columns columns_of(const Gradient *s, long strip) {
  if (s->line_strips == 0) return (Columns){strip * NR, min_long(NR, s->columns - strip * NR)};
  const long line = line_size(&s->x), own = strip % s->line_strips * NR;
  return (Columns){strip / s->line_strips * line + own, min_long(NR, line - own)};
}

/** Rows of neighbourhoods of positions that follow each other, `row` floats apart; without data, they are zero. */
typedef struct {
  const float *data;
  long row, count;
} Run;

/** The rows of all positions of a block. */
typedef struct {
  long count;
  Run run[BLOCK_POSITIONS];
  float copies[BLOCK_POSITIONS * SHORT] __attribute__((aligned(64)));
} Runs;

/** Copies whole vectors, which takes more than `size` floats if there are as many. */
INLINE void copy_part(const Gradient *s, const float *from, long size, float *to) {
  if (size % LANES > 0 && from <= s->end_of_x && from + round_up(size, LANES) > s->end_of_x) {
    memcpy(to, from, sizeof(float) * (size_t)size);
    return;
  }
  for (long j = 0; j < size; j += LANES) store(to + j, load(from + j));
}

/** Packs floats first to end of the neighbourhoods of `count` positions. */
static void pack_neighbourhoods(const Gradient *s, long position, long count, Columns columns, Runs *runs) {
  const Neighbourhoods *n = &s->x;
  const long line = line_size(n), step = n->stride[AXIS_W] * n->C, end = columns.first + columns.count;
  *runs->run = (Run){runs->copies, PACKED_ROW, count};
  runs->count = 1;
  for (long k = columns.first, size; k < end; k += size) {
    size = min_long(line - k % line, end - k);
    Place place = position_at(n, position);
    for (long p = 0, run; p < count; p += run, advance(n, &place, run)) {
      run = row_rest(n, &place, count - p);
      const float *row = row_of(n, &place, k / line);
      const long begin = begin_in_row(n, &place) + k % line;
      float copy[PACKED_ROW], *packed = runs->copies + p * PACKED_ROW + (k - columns.first);
      for (long i = 0; i < run; i++)
        copy_part(s, part_of_row(n, row, begin + i * step, size, copy), size, packed + i * PACKED_ROW);
    }
  }
}

/** Copies a line of some positions that reaches beyond the map, and adds it to the runs. */
static float *copy_lines(const Neighbourhoods *n, const float *row, long begin, long count, Run **run, float *to) {
  const long size = line_size(n), padded = round_up(size, LANES);
  if (count > 0) *(*run)++ = (Run){to, padded, count};
  for (long i = 0; i < count; i++, to += padded) {
    float copy[SHORT];
    memcpy(to, part_of_row(n, row, begin + i * n->stride[AXIS_W] * n->C, size, copy), sizeof(float) * (size_t)size);
  }
  return to;
}

/** Finds a line of `count` positions. */
static void find_runs(const Gradient *s, long position, long count, long line, Runs *runs) {
  const Neighbourhoods *n = &s->x;
  const long size = line_size(n), step = n->stride[AXIS_W] * n->C, whole = n->extent[AXIS_W] * n->C;
  float *copies = runs->copies;
  Run *run = runs->run;
  Place place = position_at(n, position);
  for (long p = 0, length; p < count; p += length, advance(n, &place, length)) {
    length = row_rest(n, &place, count - p);
    const float *row = row_of(n, &place, line);
    if (!row) {
      *run++ = (Run){NULL, 0, length};
      continue;
    }
    const long begin = begin_in_row(n, &place), inside = whole - size - begin;
    const long first = begin < 0 ? min_long(ceil_div(-begin, step), length) : 0;
    long end = inside < 0 ? 0 : min_long(inside / step + 1, length);
    // Whole vectors are read.
    while (end > first && row + begin + (end - 1) * step + round_up(size, LANES) > s->end_of_x) end--;
    if (end < first) end = first;
    copies = copy_lines(n, row, begin, first, &run, copies);
    if (end > first) *run++ = (Run){row + begin + first * step, step, end - first};
    copies = copy_lines(n, row, begin + end * step, length - end, &run, copies);
  }
  runs->count = run - runs->run;
}

/** What the next block of positions reads, which is fetched meanwhile: a part of each row of dy and, by and large, of x. */
typedef struct {
  const float *dy, *x;
  long dy_row, dy_size, x_row, x_size;
  /** Rows, of which `done` are fetched; tiles until then, of which `tile` are computed. */
  long rows, done, tiles, tile;
} Fetch;

/** Finds the rows of x from a position on: as far as these are new, the last line of the neighbourhoods. */
static void find_next_rows(const Gradient *s, long position, Columns columns, Fetch *fetch) {
  const Neighbourhoods *n = &s->x;
  const Place place = position_at(n, position);
  const float *row = row_of(n, &place, n->kernel[AXIS_T] * n->kernel[AXIS_H] - 1);
  const int is_part = n->C == s->columns;
  if (!row) return;
  fetch->x = row + begin_in_row(n, &place) + (is_part ? columns.first : 0);
  fetch->x_row = n->stride[AXIS_W] * n->C;
  fetch->x_size = is_part ? columns.count : fetch->x_row;
}

/** Fetches its share of the rows before a tile is computed. */
static void fetch_rows(Fetch *f) {
  const long end = f->rows * ++f->tile / f->tiles;
  for (; f->done < end; f->done++) {
    for (long j = 0; j < f->dy_size; j += CACHE_LINE) __builtin_prefetch(f->dy + f->done * f->dy_row + j);
    for (long j = 0; j < f->x_size; j += CACHE_LINE) __builtin_prefetch(f->x + f->done * f->x_row + j);
  }
}

/** A product of packed rows of dy and a strip of neighbourhoods. */
typedef struct {
  const float *slopes;
  long filters, positions;
  const Runs *runs;
  /** Where the strip begins in the rows. */
  long offset;
  float *sums;
  Store mode;
} Product;

INLINE void add_position(const int rows, const int vectors, const float *a, const float *b, vec sum[MR][NV]) {
  vec y[NV];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) {
    y[v] = load(b + v * LANES);
    KEEP(y[v]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    const vec x = splat(a[i]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[i][v] += x * y[v];
  }
}

/** Computes some rows of a product. Few sums have a second set, which takes turns, so that more additions are under way. */
INLINE void multiply_rows(const int rows, const int vectors, const Product *s, long filter) {
  const int turns = rows * vectors < 8 ? 2 : 1;
  const float *a = s->slopes + filter * s->positions;
  vec sum[MR][NV], other[MR][NV];
  clear_tile(rows, sum);
  clear_tile(rows, other);
  for (const Run *run = s->runs->run; run < s->runs->run + s->runs->count; run++) {
    const float *b = run->data + s->offset;
    if (!run->data) {
      a += MR * run->count;
      continue;
    }
    const long row = run->row, pairs = turns == 2 ? run->count / 2 : 0;
    for (long p = 0; p < pairs; p++, a += 2 * MR, b += 2 * row) {
      add_position(rows, vectors, a, b, sum);
      add_position(rows, vectors, a + MR, b + row, other);
    }
#pragma GCC unroll 4
    for (long p = 2 * pairs; p < run->count; p++, a += MR, b += row) add_position(rows, vectors, a, b, sum);
  }
  if (turns == 2)
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[i][v] += other[i][v];
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

/** Makes the rows ready that hold a strip of a block, unless they are. Returns where the strip begins in them. */
static long find_strip(const Gradient *s, const Product *product, long position, Columns group, long strip, Runs *runs) {
  const long first = columns_of(s, strip).first;
  if (s->line_strips > 0) {
    const long own = strip % s->line_strips;
    if (own == 0 || first == group.first) find_runs(s, position, product->positions, strip / s->line_strips, runs);
    return own * NR;
  }
  const long own = (first - group.first) % (PACK_STRIPS * NR);
  if (own == 0) {
    const Columns columns = {first, min_long(PACK_STRIPS * NR, group.first + group.count - first)};
    pack_neighbourhoods(s, position, product->positions, columns, runs);
  }
  return own;
}

static void sum_task(void *state, size_t index) {
  Gradient *s = state;
  const long part = (long)index / (s->filter_blocks * s->strip_blocks);
  const long filter = (long)index / s->strip_blocks % s->filter_blocks * s->block_filters;
  const long filters = min_long(s->block_filters, s->filters - filter);
  const long first_strip = (long)index % s->strip_blocks * s->block_strips;
  const long end_strip = min_long(s->strips, first_strip + s->block_strips);
  const Columns start = columns_of(s, first_strip), last = columns_of(s, end_strip - 1);
  const Columns all = {start.first, last.first + last.count - start.first};
  const long first = part * s->part_positions, end = min_long(s->positions, first + s->part_positions);
  float *slopes = borrow(packed_a_size(filters, BLOCK_POSITIONS));
  if (!slopes) {
    s->out_of_memory = 1;
    return;
  }
  Runs runs;
  const long size = ceil_div(end - first, ceil_div(end - first, BLOCK_POSITIONS));
  for (long position = first; position < end; position += size) {
    const long count = min_long(size, end - position);
    Product product = {.slopes = slopes, .filters = filters, .positions = count, .runs = &runs};
    product.mode = position == first ? OVERWRITE : ADD;
    pack_a(slopes, (Matrix){s->dy + position * s->filters + filter, 1, s->filters}, filters, count);
    Fetch fetch = {.rows = min_long(size, end - position - count)};
    fetch.tiles = (end_strip - first_strip) * ceil_div(filters, MR);
    fetch.dy = s->dy + (position + count) * s->filters + filter;
    fetch.dy_row = s->filters;
    fetch.dy_size = filters;
    if (fetch.rows > 0) find_next_rows(s, position + count, all, &fetch);
    for (long strip = first_strip; strip < end_strip; strip++) {
      product.offset = find_strip(s, &product, position, all, strip, &runs);
      product.sums = s->sums + part * s->sum_part + strip * s->sum_strip + filter * NR;
      if (columns_of(s, strip).count <= LANES) multiply(1, &product, &fetch);
      else multiply(NV, &product, &fetch);
    }
  }
  give_back(slopes);
}

/** Adds the parts up and turns them into gradients [out, in, t, h, w]. */
static void finish_filters(void *state, size_t index) {
  const Gradient *s = state;
  const long I = s->x.C, taps = s->columns / I;
  const long first = (long)index * FINISH_FILTERS, end = min_long(s->filters, first + FINISH_FILTERS);
  // If strips do not cross taps, those of the same channels follow each other, because their results lie together.
  const long step = I % NR == 0 ? I / NR : 1;
  for (long start = 0; start < step; start++)
    for (long n = start; n < s->strips; n += step)
      for (long o = first; o < end; o++) {
        vec sum[NV] = {{0}};
        const float *sums = s->sums + n * s->sum_strip + o * NR;
        for (long part = 0; part < s->parts; part++)
          for (int v = 0; v < NV; v++) sum[v] += load(sums + part * s->sum_part + v * LANES);
        float numbers[NR], *to = s->dweight + o * s->columns;
        for (int v = 0; v < NV; v++) store(numbers + v * LANES, sum[v]);
        const Columns columns = columns_of(s, n);
        long tap = columns.first / I, i = columns.first % I;
        for (long c = 0; c < columns.count; c++) {
          to[i * taps + tap] = numbers[c];
          if (++i == I) i = 0, tap++;
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
  if (suits_winograd(&g)) return grad_filter_by_winograd(call, &g);
  Gradient s = {.x = forward_neighbourhoods(&g, call->in[0]), .dy = call->in[1], .dweight = call->out[0], .filters = g.out};
  s.positions = count_positions(&s.x);
  s.columns = neighbourhood_size(&s.x);
  if (s.positions == 0 || s.columns == 0 || g.out == 0) {
    memset(s.dweight, 0, sizeof(float) * (size_t)(g.out * s.columns));
    return NULL;
  }
  s.end_of_x = s.x.data + g.B * g.extent[AXIS_T] * g.extent[AXIS_H] * g.extent[AXIS_W] * g.in;
  const long line = line_size(&s.x);
  if (g.out <= FEW_FILTERS && g.stride[AXIS_W] * g.in <= CLOSE && line <= SHORT) s.line_strips = ceil_div(line, NR);
  s.strips = s.line_strips > 0 ? s.columns / line * s.line_strips : ceil_div(s.columns, NR);
  choose_tasks(&s);
  s.sum_strip = round_up(g.out, MR) * NR;
  s.sum_part = s.sum_strip * s.strips;
  const long zeros = round_up(line, NR);
  float *memory = borrow((size_t)(s.parts * s.sum_part + zeros));
  if (!memory) return OUT_OF_MEMORY;
  s.sums = memory + zeros;
  s.x.zeros = memory;
  memset(memory, 0, sizeof(float) * (size_t)zeros);
  parallel(call, (size_t)(s.parts * s.filter_blocks * s.strip_blocks), sum_task, &s);
  parallel(call, (size_t)ceil_div(g.out, FINISH_FILTERS), finish_filters, &s);
  give_back(memory);
  return s.out_of_memory ? OUT_OF_MEMORY : NULL;
}
