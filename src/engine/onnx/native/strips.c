/** @file Products with strips. */
#include "strips.h"
#include "tile.h"

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

INLINE void strip_tile(const int rows, long first, long k, const float *a, const float *b, float *c, const vec *factor) {
  vec sum[MR][NV];
  clear_tile(rows, sum);
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
  FOR_TILES(m, strip_tile, k, a, b, c, factor);
}

INLINE void strips_tile(const int rows, long first, long n, Strips a, const float *b, float *c, Store mode) {
  for (long j = 0; j < n; j += NR) {
    vec sum[MR][NV];
    clear_tile(rows, sum);
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
