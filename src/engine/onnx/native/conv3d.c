/**
 * @file Convolutions with any kernel and stride, and their gradients for the input: products of neighbourhoods, whose lines are
 * read where they are (neighbourhoods.h), and packed weights.
 */
#include "conv3d.h"
#include "kernels.h"
#include "tile.h"

/** Most summands of a block, for which a strip of weights stays in the first cache, and most parts of lines. */
#define MAX_DEPTH 320
#define MAX_PARTS 16
/** Most tiles of a task, whose lines stay in the second cache. */
#define MAX_TILES (192 / MR)
/** Most floats of the weights that a task reads at a time. */
#define MAX_WEIGHTS (1L << 16)
/** Tasks that a convolution should have at least, and fewest strips of one, as far as there are as many. */
#define MIN_TASKS 16
#define MIN_STRIPS 16
/** Floats of a cache line. */
#define CACHE_LINE 16

typedef struct {
  Neighbourhoods from;
  Packed weights;
  /** The map [B, extent, channels] of the results. The one of position p is at p·step + first. */
  float *to;
  long extent[AXES], channels, step[AXES], first[AXES];
  const float *bias, *residual;
  int relu;
  /** Whether results are streamed. */
  int streams;
  long block_rows, row_blocks, block_columns;
} Convolution;

static long target_of(const Convolution *c, const Place *p) {
  long at = p->b;
  for (int axis = 0; axis < AXES; axis++) at = at * c->extent[axis] + p->at[axis] * c->step[axis] + c->first[axis];
  return at * c->channels;
}

/** What a tile reads, and where its results are; only `count` of its rows exist. */
typedef struct {
  const float *row[MAX_PARTS][MR];
  long count;
  long result[MR];
} Tile;

/** The tiles of a task: parts of lines with the summands of a block. */
typedef struct {
  /** The first summand. */
  long first;
  int parts;
  long size[MAX_PARTS];
  Tile tile[MAX_TILES];
  float copies[MAX_TILES * MR * MAX_DEPTH];
} Block;

/** Splits the lines of a neighbourhood into the parts of a block. */
static void find_parts(const Neighbourhoods *n, long first, long end, Block *block) {
  const long line = line_size(n);
  block->first = first;
  block->parts = 0;
  for (long k = first, size; k < end; k += size) {
    size = min_long(line - k % line, end - k);
    block->size[block->parts++] = size;
  }
}

/** What the parts of a row of positions begin with. */
typedef struct {
  /** Rows of the map, or null, and where the parts begin in them. */
  const float *row[MAX_PARTS];
  long begin[MAX_PARTS];
  /** For positions inside of the map: the part of the first position, and the distance of those of the others. */
  const float *part[MAX_PARTS];
  long step[MAX_PARTS];
} Parts;

static void find_row(const Neighbourhoods *n, const Place *place, const Block *block, Parts *parts) {
  const long line = line_size(n);
  long k = block->first;
  for (int i = 0; i < block->parts; k += block->size[i++]) {
    const float *row = row_of(n, place, k / line);
    parts->row[i] = row;
    parts->begin[i] = begin_in_row(n, place) + k % line;
    parts->part[i] = row ? row + parts->begin[i] : n->zeros;
    parts->step[i] = row ? n->stride[AXIS_W] * n->C : 0;
  }
}

/** Finds the tiles of a block for the positions from `row`. */
static void find_tiles(const Convolution *c, long row, long rows, Block *block) {
  const Neighbourhoods *n = &c->from;
  const long step = n->stride[AXIS_W] * n->C, whole = n->extent[AXIS_W] * n->C;
  Place place = position_at(n, row);
  Parts parts;
  float *copy = block->copies;
  for (long r = 0, run; r < rows; r += run, advance(n, &place, run)) {
    run = row_rest(n, &place, rows - r);
    find_row(n, &place, block, &parts);
    const long result = target_of(c, &place);
    for (long i = 0; i < run; i++) {
      Tile *tile = &block->tile[(r + i) / MR];
      const long own = (r + i) % MR, begin = begin_in_row(n, &place) + i * step;
      tile->count = own + 1;
      tile->result[own] = result + i * c->step[AXIS_W] * c->channels;
      if (begin >= 0 && begin + line_size(n) <= whole) {
        for (int part = 0; part < block->parts; part++) tile->row[part][own] = parts.part[part] + i * parts.step[part];
        continue;
      }
      for (int part = 0; part < block->parts; part++) {
        const float *from = part_of_row(n, parts.row[part], parts.begin[part] + i * step, block->size[part], copy);
        if (from == copy) copy += block->size[part];
        tile->row[part][own] = from;
      }
    }
  }
  // A row stands in for those that are missing.
  Tile *last = &block->tile[(rows - 1) / MR];
  for (long i = last->count; i < MR; i++)
    for (int part = 0; part < block->parts; part++) last->row[part][i] = last->row[part][0];
}

/** A strip of results of a block. Its products may be the first ones, the last ones, or both. */
typedef struct {
  const Convolution *conv;
  const Block *block;
  /** The first column, and how many there are, at most NR. */
  long column, columns;
  const float *weights;
  int is_first, is_last;
  /** Whether it is the first strip of a task. The others find the lines in the cache. */
  int is_first_column;
} Strip;

/**
 * Adds the products of column p of MR rows with a row of weights. Products with a single vector go to sum `turn` of a row, so
 * that more additions are under way at a time.
 */
INLINE void add_column(const int vectors, const int turn, const float *const a[MR], long p, const float *b, vec sum[MR][NV]) {
  vec y[NV];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) {
    y[v] = *(const vec *)(b + v * LANES);
    KEEP(y[v]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) {
    const vec x = splat(a[i][p]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[i][vectors == 1 ? turn : v] += x * y[v];
  }
}

/** Sums the products of a tile. Meanwhile the lines of the next tile, if any, are fetched. */
INLINE void sum_tile(const int vectors, const Strip *s, const Tile *tile, const Tile *next, vec sum[MR][NV]) {
  const float *b = s->weights;
  clear_tile(MR, sum);
  for (int part = 0; part < s->block->parts; part++) {
    const float *a[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) a[i] = tile->row[part][i];
    const long size = s->block->size[part];
    long p = 0;
    while (p + CACHE_LINE <= size) {
      if (next)
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++) __builtin_prefetch(next->row[part][i] + p);
      for (long end = p + CACHE_LINE - 4; p <= end; p += 4, b += 4 * NR) {
        add_column(vectors, 0, a, p, b, sum);
        add_column(vectors, 1, a, p + 1, b + NR, sum);
        add_column(vectors, 0, a, p + 2, b + 2 * NR, sum);
        add_column(vectors, 1, a, p + 3, b + 3 * NR, sum);
      }
    }
    for (; p + 2 <= size; p += 2, b += 2 * NR) {
      add_column(vectors, 0, a, p, b, sum);
      add_column(vectors, 1, a, p + 1, b + NR, sum);
    }
    if (p < size) add_column(vectors, 0, a, p, b, sum), b += NR;
  }
  if (vectors == 1)
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) sum[i][0] += sum[i][1];
}

#define EACH_VECTOR                                     \
  _Pragma("GCC unroll 16") for (int i = 0; i < MR; i++) \
  _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++)

/** Computes a tile all of whose rows and columns exist. */
INLINE void compute_tile(const int vectors, const Strip *s, const Tile *tile, const Tile *next) {
  const Convolution *c = s->conv;
  const long j = s->column;
  vec sum[MR][NV];
  sum_tile(vectors, s, tile, next, sum);
  float *to[MR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) to[i] = c->to + tile->result[i] + j;
  if (!s->is_first) EACH_VECTOR sum[i][v] += load(to[i] + v * LANES);
  if (s->is_last) {
    if (c->bias) EACH_VECTOR sum[i][v] += load(c->bias + j + v * LANES);
    if (c->residual) EACH_VECTOR sum[i][v] += load(c->residual + tile->result[i] + j + v * LANES);
    if (c->relu) EACH_VECTOR sum[i][v] = pick(sum[i][v] <= 0, splat(0), sum[i][v]);
  }
  if (s->is_first && s->is_last && c->streams) EACH_VECTOR stream(to[i] + v * LANES, sum[i][v]);
  else EACH_VECTOR store(to[i] + v * LANES, sum[i][v]);
}

/** Computes the rows and columns of a tile that exist. */
static void compute_part(const Strip *s, const Tile *tile) {
  const Convolution *c = s->conv;
  float numbers[MR * NR];
  vec sum[MR][NV];
  sum_tile(NV, s, tile, NULL, sum);
  store_tile(MR, sum, numbers, NR, OVERWRITE);
  for (int i = 0; i < tile->count; i++)
    for (long k = 0; k < s->columns; k++) {
      const long at = tile->result[i] + s->column + k;
      float y = numbers[i * NR + k];
      if (!s->is_first) y += c->to[at];
      if (s->is_last) {
        if (c->bias) y += c->bias[s->column + k];
        if (c->residual) y += c->residual[at];
        if (c->relu && y <= 0) y = 0;
      }
      c->to[at] = y;
    }
}

static void compute_strip(const Strip *s, long rows) {
  const Tile *const end = s->block->tile + ceil_div(rows, MR);
  for (const Tile *tile = s->block->tile; tile < end; tile++) {
    const Tile *next = s->is_first_column && tile + 1 < end ? tile + 1 : NULL;
    if (s->columns == NR && tile->count == MR) compute_tile(NV, s, tile, next);
    else if (s->columns == LANES && tile->count == MR) compute_tile(1, s, tile, next);
    else compute_part(s, tile);
  }
}

static void convolve_task(void *state, size_t index) {
  const Convolution *c = state;
  const long first_row = (long)index % c->row_blocks * c->block_rows;
  const long rows = min_long(count_positions(&c->from) - first_row, c->block_rows);
  const long first_column = (long)index / c->row_blocks * c->block_columns;
  const long end_column = min_long(c->channels, first_column + c->block_columns);
  Block block;
  Strip s = {.conv = c, .block = &block};
  long k = 0;
  do {
    const long end = min_long(c->weights.K, k + c->weights.depth);
    s.is_first = k == 0;
    s.is_last = end == c->weights.K;
    find_parts(&c->from, k, end, &block);
    find_tiles(c, first_row, rows, &block);
    for (s.column = first_column; s.column < end_column; s.column += NR) {
      s.columns = min_long(NR, end_column - s.column);
      s.weights = strip_at(&c->weights, k, s.column);
      s.is_first_column = s.column == first_column;
      compute_strip(&s, rows);
    }
    k = end;
  } while (k < c->weights.K);
  if (c->streams) end_stream();
}

static long depth_of(const Neighbourhoods *n, long K) {
  const long most = min_long(MAX_DEPTH, (MAX_PARTS - 1) * line_size(n));
  return K > most ? ceil_div(K, ceil_div(K, most)) : K > 0 ? K : 1;
}

/** Splits the results into blocks for tasks. */
static void choose_blocks(Convolution *c) {
  const long rows = count_positions(&c->from), strips = ceil_div(c->channels, NR);
  c->row_blocks = ceil_div(rows, MAX_TILES * MR);
  // Narrow blocks read the lines more often, low ones the weights.
  long column_blocks = ceil_div(strips * NR * c->weights.depth, MAX_WEIGHTS);
  const long most = ceil_div(strips, MIN_STRIPS), wanted = ceil_div(MIN_TASKS, c->row_blocks);
  if (column_blocks < wanted) column_blocks = min_long(wanted, most);
  c->block_columns = ceil_div(strips, column_blocks) * NR;
  column_blocks = ceil_div(c->channels, c->block_columns);
  if (c->row_blocks * column_blocks < MIN_TASKS) c->row_blocks = ceil_div(MIN_TASKS, column_blocks);
  c->block_rows = round_up(ceil_div(rows, c->row_blocks), MR);
  c->row_blocks = ceil_div(rows, c->block_rows);
}

static void convolve(const Call *call, Convolution *c) {
  if (count_positions(&c->from) == 0 || c->channels == 0) return;
  choose_blocks(c);
  c->streams = suits_streaming(c->to, count_positions(&c->from) * c->channels, c->channels);
  parallel(call, (size_t)(c->row_blocks * ceil_div(c->channels, c->block_columns)), convolve_task, c);
}

/** Operands x, weight, and, if wanted, bias and residual; ints as in Geometry, then relu. */
const char *conv3d(const Call *call) {
  const Geometry g = geometry_of(call);
  if (suits_winograd(&g)) return convolve_by_winograd(call, &g);
  Convolution c = {.from = forward_neighbourhoods(&g, call->in[0]), .to = call->out[0], .channels = g.out};
  c.bias = call->in[2];
  c.residual = call->in[3];
  c.relu = (int)call->ints[GEOMETRY_INTS];
  Taps taps = {.data = call->in[1], .out = g.out, .in = g.in};
  for (int axis = 0; axis < AXES; axis++) {
    taps.kernel[axis] = g.kernel[axis];
    c.extent[axis] = g.count[axis];
    c.step[axis] = 1;
  }
  const long K = neighbourhood_size(&c.from);
  c.weights = (Packed){NULL, K, depth_of(&c.from, K), g.out};
  const size_t line = (size_t)round_up(line_size(&c.from), NR);
  float *memory = borrow(packed_size(&c.weights) + line);
  if (!memory) return OUT_OF_MEMORY;
  c.from.zeros = memory;
  memset(memory, 0, sizeof(float) * line);
  c.weights.data = memory + line;
  pack_weights(call, &c.weights, &taps);
  convolve(call, &c);
  give_back(memory);
  return NULL;
}

/** Operands dy and weight; ints as in Geometry. */
const char *conv3d_grad_input(const Call *call) {
  const Geometry g = geometry_of(call);
  if (suits_winograd(&g)) return grad_input_by_winograd(call, &g);
  const long most = g.kernel[0] * g.kernel[1] * g.kernel[2] * g.out;
  const size_t line = (size_t)round_up(g.kernel[AXIS_W] * g.out, NR);
  float *memory = borrow((size_t)((most + MAX_DEPTH) * round_up(g.in, NR)) + line);
  if (!memory) return OUT_OF_MEMORY;
  memset(memory, 0, sizeof(float) * line);
  const long classes = g.stride[0] * g.stride[1] * g.stride[2];
  for (long index = 0; index < classes; index++) {
    Convolution c = {.from = {.data = call->in[0], .C = g.out, .B = g.B}, .to = call->out[0], .channels = g.in};
    Taps taps = {.data = call->in[1], .out = g.out, .in = g.in};
    long rest = index;
    for (int axis = AXIS_W; axis >= 0; axis--) {
      const long s = g.stride[axis], r = rest % s;
      rest /= s;
      // dx[s·u + r] = Σ_m dy[u + (r + p) / s - m]·weight[(r + p) % s + s·m], in the order of dy.
      const long tap = (r + g.padding[axis]) % s, count = tap < g.kernel[axis] ? ceil_div(g.kernel[axis] - tap, s) : 0;
      taps.kernel[axis] = g.kernel[axis];
      taps.first[axis] = tap + (count - 1) * s;
      taps.step[axis] = s;
      taps.count[axis] = count;
      c.from.extent[axis] = g.count[axis];
      c.from.kernel[axis] = count;
      c.from.stride[axis] = 1;
      c.from.start[axis] = (r + g.padding[axis]) / s - (count - 1);
      c.from.count[axis] = r < g.extent[axis] ? ceil_div(g.extent[axis] - r, s) : 0;
      c.extent[axis] = g.extent[axis];
      c.step[axis] = s;
      c.first[axis] = r;
    }
    const long K = neighbourhood_size(&c.from);
    c.weights = (Packed){memory + line, K, depth_of(&c.from, K), g.in};
    c.from.zeros = memory;
    if (K > 0) pack_transposed_weights(call, &c.weights, &taps);
    convolve(call, &c);
  }
  give_back(memory);
  return NULL;
}
