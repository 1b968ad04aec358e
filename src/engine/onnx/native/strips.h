/**
 * @file Products with strips, blocks of NR columns with contiguous rows, whose results are strips again.
 *
 * A strip of results is the packed second operand of the next product (gemm.h) as it is, and its rows can be read as a first
 * operand. A chain of products thus needs no packing between them, and its intermediate results stay in the cache.
 */
#pragma once
#include "gemm.h"

/** Computes the strip c [m, NR] = c·factor + a·b for packed a [m, k] and a strip b [k, NR]; without factor, c = a·b. */
void multiply_strip(long m, long k, const float *a, const float *b, float *c, const vec factor[NV]);

/** Strips side by side, a matrix [rows, columns]. Strip s starts at data + s * distance. */
typedef struct {
  const float *data;
  long distance, columns;
} Strips;

/** Computes c [m, n] = a·b or c += a·b for strips a [m, k] and packed b [k, n]. The rows of c are contiguous and adjacent. */
void multiply_by_strips(long m, long n, Strips a, const float *b, float *c, Store mode);
