/** @file Products with strips. */
#include "strips.h"

#define INLINE static inline __attribute__((always_inline))

/**
 * Calls `tile(rows, first row, …)` for tiles of MR rows, and of 8, 4, 2 and 1 rows for the rest. The number is a constant for
 * the compiler, which keeps the results of a tile in registers.
 */
#define FOR_TILES(m, tile, ...)                                            \
  do {                                                                     \
    long first = 0;                                                        \
    for (; first + MR <= (m); first += MR) tile(MR, first, __VA_ARGS__);   \
    if (MR > 8 && ((m)-first) & 8) tile(8, first, __VA_ARGS__), first += 8; \
    if (((m)-first) & 4) tile(4, first, __VA_ARGS__), first += 4;          \
    if (((m)-first) & 2) tile(2, first, __VA_ARGS__), first += 2;          \
    if (((m)-first) & 1) tile(1, first, __VA_ARGS__);                      \
  } while (0)

INLINE void clear(const int rows, vec sum[MR][NV]) {
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) sum[i][v] = (vec){0};
}

/** Adds a·b for a [rows, k] and a strip b [k, NR] to `sum`. Element (i, p) of a is at a[i * row + p * column]. */
INLINE void add_product(const int rows, long k, const float *a, long row, long column, const float *b, vec sum[MR][NV]) {
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

INLINE void multiply_tile(const int rows, long first, long k, const float *a, const float *b, float *c, const vec *factor) {
  vec sum[MR][NV];
  clear(rows, sum);
  add_product(rows, k, a + first / MR * MR * k + first % MR, 1, MR, b, sum);
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
      vec *at = (vec *)(c + (first + i) * NR + v * LANES);
      *at = factor ? *at * factor[v] + sum[i][v] : sum[i][v];
    }
}

void multiply_strip(long m, long k, const float *a, const float *b, float *c, const vec factor[NV]) {
  FOR_TILES(m, multiply_tile, k, a, b, c, factor);
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

/** Stores the first columns of a tile. */
static void store_part(const float *tile, long rows, long columns, float *c, long ldc, Store mode) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++)
      c[i * ldc + j] = mode == ADD ? c[i * ldc + j] + tile[i * NR + j] : tile[i * NR + j];
}

INLINE void strips_tile(const int rows, long first, long n, Strips a, const float *b, float *c, Store mode) {
  for (long j = 0; j < n; j += NR) {
    vec sum[MR][NV];
    clear(rows, sum);
    for (long p = 0; p < a.columns; p += NR) {
      const float *strip = a.data + p / NR * a.distance + first * NR;
      add_product(rows, min_long(NR, a.columns - p), strip, NR, 1, b + j * a.columns + p * NR, sum);
    }
    float *target = c + first * n + j;
    if (n - j >= NR) {
      store_tile(rows, sum, target, n, mode);
    } else {
      // A copy, because sums whose address is taken are not kept in registers.
      float tile[MR * NR];
      store_tile(rows, sum, tile, NR, OVERWRITE);
      store_part(tile, rows, n - j, target, n, mode);
    }
  }
}

void multiply_by_strips(long m, long n, Strips a, const float *b, float *c, Store mode) {
  FOR_TILES(m, strips_tile, n, a, b, c, mode);
}
