/** @file Products of large matrices: whole matrices packed once, then blocks of rows that the threads take one by one. */
#include "gemm.h"
#include "kernels.h"

/** Summands of a block: a strip of each operand stays in the first cache, the rows of a block in the second. */
#define BLOCK_K 256
/** Most rows of a block. */
#define BLOCK_M 192
/** Tasks that a product should have at least, to balance the threads. */
#define MIN_TASKS 16
/** Strips of the second operand that are packed at a time. */
#define PACK_STRIPS 8
/** Most floats of the second operand that are packed at a time, and most of its rows. */
#define MAX_PACKED (4L << 20)
#define MAX_DEPTH 8192

typedef struct {
  Matrix a, b;
  const float *bias;
  float *c;
  long M, N, K;
  /** The columns and summands that are multiplied at present. */
  long column, columns, summand, summands;
  long block_rows, row_blocks, block_columns;
  float *packed;
} Product;

/** Blocks of the sum: their strips lie one after the other, each block packed for itself. */
static long block_k(const Product *p) { return ceil_div(p->summands, ceil_div(p->summands, BLOCK_K)); }

static float *packed_block(const Product *p, long k) { return p->packed + packed_b_size(k, p->columns); }

static void pack_strips(void *state, size_t index) {
  const Product *p = state;
  const long size = block_k(p);
  const long first = (long)index * PACK_STRIPS * NR;
  const long columns = min_long(PACK_STRIPS * NR, p->columns - first);
  for (long k = 0; k < p->summands; k += size) {
    const long depth = min_long(size, p->summands - k);
    pack_b(packed_block(p, k) + first * depth, from(p->b, p->summand + k, p->column + first), depth, columns);
  }
}

static void add_bias(float *c, long ldc, const float *bias, long rows, long columns) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++) c[i * ldc + j] += bias[j];
}

static void multiply_block(void *state, size_t index) {
  const Product *p = state;
  const long row = (long)index % p->row_blocks * p->block_rows;
  const long rows = min_long(p->block_rows, p->M - row);
  const long first = (long)index / p->row_blocks * p->block_columns;
  const long columns = min_long(p->block_columns, p->columns - first);
  const long size = block_k(p);
  float block[packed_a_size(BLOCK_M, BLOCK_K)] __attribute__((aligned(64)));
  float *c = p->c + row * p->N + p->column + first;
  for (long k = 0; k < p->summands; k += size) {
    const long depth = min_long(size, p->summands - k);
    pack_a(block, from(p->a, row, p->summand + k), rows, depth);
    const float *strips = packed_block(p, k) + first * depth;
    multiply_packed(rows, columns, depth, block, strips, c, p->N, p->summand + k == 0 ? OVERWRITE : ADD);
  }
  if (p->bias && p->summand + p->summands == p->K) add_bias(c, p->N, p->bias + p->column + first, rows, columns);
}

/** Multiplies the present columns and summands. */
static void multiply_part(const Call *call, Product *p) {
  const long column_blocks = min_long(ceil_div(MIN_TASKS, p->row_blocks), ceil_div(p->columns, 4 * NR));
  p->block_columns = round_up(ceil_div(p->columns, column_blocks), NR);
  parallel(call, (size_t)ceil_div(p->columns, PACK_STRIPS * NR), pack_strips, p);
  parallel(call, (size_t)(p->row_blocks * ceil_div(p->columns, p->block_columns)), multiply_block, p);
}

/** Operands a [M, K], b [K, N] with K > 0 and, if wanted, bias [N]; ints M, N, K, transA, transB. c = a·b + bias. */
const char *product(const Call *call) {
  const int64_t *n = call->ints;
  Product p = {.bias = call->in[2], .c = call->out[0], .M = n[0], .N = n[1], .K = n[2]};
  p.a = n[3] ? (Matrix){call->in[0], 1, p.M} : (Matrix){call->in[0], p.K, 1};
  p.b = n[4] ? (Matrix){call->in[1], 1, p.K} : (Matrix){call->in[1], p.N, 1};
  const long depth = ceil_div(p.K, ceil_div(p.K, MAX_DEPTH));
  const long width = min_long(round_up(p.N, NR), round_up(MAX_PACKED / depth, NR));
  p.packed = borrow(packed_b_size(depth, width));
  if (!p.packed) return OUT_OF_MEMORY;
  p.block_rows = round_up(ceil_div(p.M, ceil_div(p.M, BLOCK_M)), MR);
  p.row_blocks = ceil_div(p.M, p.block_rows);
  for (p.column = 0; p.column < p.N; p.column += width) {
    p.columns = min_long(width, p.N - p.column);
    for (p.summand = 0; p.summand < p.K; p.summand += depth) {
      p.summands = min_long(depth, p.K - p.summand);
      multiply_part(call, &p);
    }
  }
  give_back(p.packed);
  return NULL;
}
