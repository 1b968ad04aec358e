/**
 * @file Convolutions with any kernel and stride, and their gradients for the input, as sums of products of weights with lines of
 * neighbourhoods (neighbourhoods.h), which are read where they are.
 */
#include "conv3d.h"
#include "kernels.h"
#include "tile.h"

/** Most summands of a block, whose results stay in registers, and most parts of lines. */
#define MAX_DEPTH 640
#define MAX_PARTS 64
/** Floats of packed weights that a task reads for one row after the other; they stay in the second cache. */
#define MAX_WEIGHTS (1L << 16)
/** Most positions of a task. */
#define MAX_ROWS 192
#define MIN_TASKS 16

typedef struct {
  Neighbourhoods from;
  Packed weights;
  /** The map [B, extent, channels] of the results. The one of position p is at p·step + first. */
  float *to;
  long extent[AXES], channels, step[AXES], first[AXES];
  const float *bias, *residual;
  int relu;
  long block_rows, row_blocks, block_columns;
} Convolution;

static long target_of(const Convolution *c, const Place *p) {
  long at = p->b;
  for (int axis = 0; axis < AXES; axis++) at = at * c->extent[axis] + p->at[axis] * c->step[axis] + c->first[axis];
  return at * c->channels;
}

/** What a tile reads: parts of lines of MR neighbourhoods. Its results: only `count` of the rows exist. */
typedef struct {
  int parts;
  long size[MAX_PARTS + 1];
  const float *row[MAX_PARTS + 1][MR];
  long count;
  long result[MR];
} Tile;

/** Finds the parts of lines that hold the summands from `first` to before `end`. */
static void find_lines(const Neighbourhoods *n, const Place *places, long first, long end, Tile *tile, float *copies) {
  const long line = line_size(n);
  tile->parts = 0;
  for (long k = first; k < end;) {
    const long begin = k % line, size = min_long(line - begin, end - k);
    const float **row = tile->row[tile->parts];
    float *copy = copies + (k - first);
    for (int i = 0; i < MR; i++) row[i] = read_line(n, &places[i], k / line, begin, size, copy + i * MAX_DEPTH);
    tile->size[tile->parts++] = size;
    k += size;
  }
}

/** Adds the products of all lines with a strip of weights. */
INLINE void add_lines(const int vectors, const Tile *tile, const float *b, vec sum[MR][NV]) {
  for (int part = 0; part < tile->parts; part++) {
    const long size = tile->size[part];
    const float *a[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) a[i] = tile->row[part][i];
    for (long p = 0; p < size; p++) {
      vec y[NV];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) y[v] = *(const vec *)(b + v * LANES);
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) {
        const vec x = splat(a[i][p]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[i][v] += x * y[v];
      }
      b += NR;
    }
  }
}

typedef enum { FIRST = 1, LAST = 2 } Stage;

/** What becomes of a vector of sums. */
INLINE vec finish(const Convolution *c, vec y, long at, long j, int stage) {
  if (!(stage & FIRST)) y += load(c->to + at);
  if (stage & LAST) {
    if (c->bias) y += load(c->bias + j);
    if (c->residual) y += load(c->residual + at);
    if (c->relu) y = pick(y <= 0, splat(0), y);
  }
  return y;
}

INLINE void compute_tile(const int vectors, const Convolution *c, const Tile *tile, long j, const float *b, int stage) {
  vec sum[MR][NV];
  clear_tile(MR, sum);
  add_lines(vectors, tile, b, sum);
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) {
    if (i >= tile->count) break;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      const long at = tile->result[i] + j + v * LANES;
      store(c->to + at, finish(c, sum[i][v], at, j + v * LANES, stage));
    }
  }
}


/** A strip with columns that are no whole vectors. */
static void compute_part(const Convolution *c, const Tile *tile, long j, long columns, const float *b, int stage) {
  float numbers[MR * NR];
  Tile copy = *tile;
  Convolution plain = {.to = numbers};
  for (int i = 0; i < MR; i++) copy.result[i] = i * NR - j;
  compute_tile(NV, &plain, &copy, j, b, FIRST);
  for (int i = 0; i < tile->count; i++)
    for (long k = 0; k < columns; k++) {
      const long at = tile->result[i] + j + k;
      float y = numbers[i * NR + k];
      if (!(stage & FIRST)) y += c->to[at];
      if (stage & LAST) {
        if (c->bias) y += c->bias[j + k];
        if (c->residual) y += c->residual[at];
        if (c->relu && y <= 0) y = 0;
      }
      c->to[at] = y;
    }
}

static void convolve_task(void *state, size_t index) {
  const Convolution *c = state;
  const Neighbourhoods *n = &c->from;
  const long first_row = (long)index % c->row_blocks * c->block_rows;
  const long end_row = min_long(count_positions(n), first_row + c->block_rows);
  const long first_column = (long)index / c->row_blocks * c->block_columns;
  const long end_column = min_long(c->channels, first_column + c->block_columns);
  float copies[MR * MAX_DEPTH];
  Tile tile;
  long k = 0;
  do {
    const long end = min_long(c->weights.K, k + c->weights.depth);
    const int stage = (k == 0 ? FIRST : 0) | (end == c->weights.K ? LAST : 0);
    Place place = position_at(n, first_row);
    for (long row = first_row; row < end_row; row += MR) {
      Place places[MR];
      tile.count = min_long(MR, end_row - row);
      for (int i = 0; i < MR; i++) {
        places[i] = i < tile.count ? place : places[i - 1];
        if (i >= tile.count) continue;
        tile.result[i] = target_of(c, &place);
        advance(n, &place);
      }
      find_lines(n, places, k, end, &tile, copies);
      for (long j = first_column; j < end_column; j += NR) {
        const float *b = strip_at(&c->weights, k, j);
        if (end_column - j >= NR) compute_tile(NV, c, &tile, j, b, stage);
        else if (end_column - j == LANES) compute_tile(1, c, &tile, j, b, stage);
        else compute_part(c, &tile, j, end_column - j, b, stage);
      }
    }
    k = end;
  } while (k < c->weights.K);
}

static long depth_of(const Neighbourhoods *n, long K) {
  const long most = min_long(MAX_DEPTH, MAX_PARTS * line_size(n));
  return K > most ? ceil_div(K, ceil_div(K, most)) : K > 0 ? K : 1;
}

/** Prepares blocks for a convolution whose weights are [K, channels]. */
static void choose_blocks(Convolution *c) {
  const long rows = count_positions(&c->from), columns = round_up(c->channels, NR);
  const long widest = MAX_WEIGHTS / c->weights.depth / NR * NR;
  const long column_blocks = ceil_div(columns, widest > NR ? widest : NR);
  c->block_columns = round_up(ceil_div(columns, column_blocks), NR);
  c->row_blocks = ceil_div(rows, MAX_ROWS);
  const long tasks = c->row_blocks * column_blocks;
  if (tasks < MIN_TASKS) c->row_blocks *= ceil_div(MIN_TASKS, tasks);
  c->block_rows = round_up(ceil_div(rows, c->row_blocks), MR);
  c->row_blocks = ceil_div(rows, c->block_rows);
}

static void convolve(const Call *call, Convolution *c) {
  if (count_positions(&c->from) == 0 || c->channels == 0) return;
  choose_blocks(c);
  parallel(call, (size_t)(c->row_blocks * ceil_div(c->channels, c->block_columns)), convolve_task, c);
}

/** Operands x, weight, and, if wanted, bias and residual; ints as in Geometry, then relu. */
const char *conv3d(const Call *call) {
  const Geometry g = geometry_of(call);
  Convolution c = {.from = forward_neighbourhoods(&g, call->in[0]), .to = call->out[0], .channels = g.out};
  c.bias = call->in[2];
  c.residual = call->in[3];
  c.relu = (int)call->ints[18];
  Taps taps = {.data = call->in[1], .out = g.out, .in = g.in};
  for (int axis = 0; axis < AXES; axis++) {
    taps.kernel[axis] = g.kernel[axis];
    c.extent[axis] = g.count[axis];
    c.step[axis] = 1;
  }
  const long K = count_lines(&c.from) * line_size(&c.from);
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
    const long K = count_lines(&c.from) * line_size(&c.from);
    c.weights = (Packed){memory + line, K, depth_of(&c.from, K), g.in};
    c.from.zeros = memory;
    if (K > 0) pack_transposed_weights(call, &c.weights, &taps);
    convolve(call, &c);
  }
  give_back(memory);
  return NULL;
}
