/**
 * @file Tiles of products: at most MR rows of NR columns, whose sums stay in registers.
 *
 * The number of rows must be a constant for the compiler.
 */
#pragma once
#include "gemm.h"

#define INLINE static inline __attribute__((always_inline))
/** Keeps a vector in a register. Compilers otherwise load it for each use if many registers are in use. */
#define KEEP(x) __asm__("" : "+v"(x))

INLINE void clear_tile(const int rows, vec sum[MR][NV]) {
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) sum[i][v] = (vec){0};
}

/**
 * Adds a·b for a [rows, k] and a strip b [k, NR], aligned to a vector, to `sum`. Element (i, p) of a is at
 * a[i * row + p * column].
 */
INLINE void add_product(const int rows, long k, const float *a, long row, long column, const float *b, vec sum[MR][NV]) {
#pragma GCC unroll 4
  for (long p = 0; p < k; p++) {
    vec y[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) y[v] = *(const vec *)(b + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const vec x = splat(a[i * row]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) sum[i][v] += x * y[v];
    }
    a += column;
    b += NR;
  }
}

INLINE void store_tile(const int rows, vec sum[MR][NV], float *c, long ldc, Store mode) {
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
      float *at = c + i * ldc + v * LANES;
      store(at, mode == ADD ? load(at) + sum[i][v] : sum[i][v]);
    }
}

/** Computes a tile c = a·b or c += a·b, for a and b as above. The rows of c are `ldc` floats apart. */
INLINE void multiply_tile(const int rows, long k, const float *a, long row, long column, const float *b, float *c, long ldc,
                          Store mode) {
  vec sum[MR][NV];
  clear_tile(rows, sum);
  add_product(rows, k, a, row, column, b, sum);
  store_tile(rows, sum, c, ldc, mode);
}

/** Stores the first rows and columns of a tile whose rows are NR floats apart, which takes the place of whole vectors. */
static inline void store_part(const float *tile, long rows, long columns, float *c, long ldc, Store mode) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++)
      c[i * ldc + j] = mode == ADD ? c[i * ldc + j] + tile[i * NR + j] : tile[i * NR + j];
}
