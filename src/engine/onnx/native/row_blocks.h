/**
 * @file Blocks of rows, one for each task, and sums of columns that are computed block by block.
 *
 * The blocks follow from the shape alone, so the sums are the same for any number of threads.
 */
#pragma once
#include "kernel.h"

/** A matrix [rows, width] in blocks of `size` rows; the last one may be smaller. There is at least one block. */
typedef struct {
  long rows, width, size, count;
} RowBlocks;

RowBlocks split_rows(long rows, long width);

/** Rows of a block: from `first` to before `end`. */
typedef struct {
  long first, end;
} Rows;

static inline Rows rows_at(const RowBlocks *blocks, size_t index) {
  const long first = min_long((long)index * blocks->size, blocks->rows);
  return (Rows){first, min_long(first + blocks->size, blocks->rows)};
}

/** Adds up `count` vectors of `width` floats that follow each other. The result may be the first of them. */
void add_vectors(float *result, const float *vectors, long count, long width);
