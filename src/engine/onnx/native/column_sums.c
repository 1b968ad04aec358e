/** @file Sums of columns. */
#include "kernels.h"
#include "row_blocks.h"
#include <string.h>

/** Elements of a block. Smaller operations are done before another thread has woken up. */
#define BLOCK_ELEMENTS (1L << 16)
/** Largest number of blocks, to bound the memory of their sums. */
#define MAX_BLOCKS 128

RowBlocks split_rows(long rows, long width) {
  long count = min_long(ceil_div(rows * width, BLOCK_ELEMENTS), min_long(rows, MAX_BLOCKS));
  if (count < 1) count = 1;
  const long size = ceil_div(rows, count);
  return (RowBlocks){rows, width, size, size > 0 ? ceil_div(rows, size) : 1};
}

void add_vectors(float *result, const float *vectors, long count, long width) {
  if (result != vectors) memcpy(result, vectors, sizeof(float) * (size_t)width);
  for (long i = 1; i < count; i++)
    for (long j = 0; j < width; j++) result[j] += vectors[i * width + j];
}

typedef struct {
  const float *x;
  RowBlocks blocks;
  /** [blocks, width] */
  float *sums;
} ColumnSums;

/** Adds four rows, which takes fewer loads and stores of the sums than one row at a time. */
static void add_four_rows(float *restrict sums, const float *restrict row, long width) {
  for (long j = 0; j < width; j++)
    sums[j] += (row[j] + row[j + width]) + (row[j + 2 * width] + row[j + 3 * width]);
}

static void add_row(float *restrict sums, const float *restrict row, long width) {
  for (long j = 0; j < width; j++) sums[j] += row[j];
}

static void sum_block(void *state, size_t index) {
  const ColumnSums *s = state;
  const long width = s->blocks.width;
  const Rows rows = rows_at(&s->blocks, index);
  float *sums = s->sums + (long)index * width;
  memset(sums, 0, sizeof(float) * (size_t)width);
  long i = rows.first;
  for (; i + 4 <= rows.end; i += 4) add_four_rows(sums, s->x + i * width, width);
  for (; i < rows.end; i++) add_row(sums, s->x + i * width, width);
}

/** Operand x [rows, width]; ints rows, width. Result [width]. */
const char *column_sums(const Call *call) {
  const RowBlocks blocks = split_rows(call->ints[0], call->ints[1]);
  float *result = call->out[0];
  float *sums = blocks.count > 1 ? borrow((size_t)(blocks.count * blocks.width)) : result;
  if (!sums) return OUT_OF_MEMORY;
  ColumnSums state = {call->in[0], blocks, sums};
  parallel(call, (size_t)blocks.count, sum_block, &state);
  add_vectors(result, sums, blocks.count, blocks.width);
  if (sums != result) give_back(sums);
  return NULL;
}
