/** @file Products of packed blocks of matrices. */
#include "gemm.h"
#include <string.h>

void pack_a(float *to, Matrix a, long m, long k, float scale) {
  for (long i = 0; i < m; i += MR) {
    const long rows = min_long(MR, m - i);
    const float *source = a.data + i * a.row;
    if (rows < MR) memset(to, 0, sizeof(float) * MR * (size_t)k);
    if (a.row == 1) {
      for (long p = 0; p < k; p++)
        for (long r = 0; r < rows; r++) to[p * MR + r] = scale * source[p * a.column + r];
    } else {
      for (long r = 0; r < rows; r++)
        for (long p = 0; p < k; p++) to[p * MR + r] = scale * source[r * a.row + p * a.column];
    }
    to += MR * k;
  }
}

void pack_b(float *to, Matrix b, long k, long n) {
  for (long j = 0; j < n; j += NR) {
    const long columns = min_long(NR, n - j);
    const float *source = b.data + j * b.column;
    if (columns < NR) memset(to, 0, sizeof(float) * NR * (size_t)k);
    if (b.column == 1 && columns == NR) {
      for (long p = 0; p < k; p++)
        for (int v = 0; v < NV; v++) store(to + p * NR + v * LANES, load(source + p * b.row + v * LANES));
    } else if (b.column == 1) {
      for (long p = 0; p < k; p++) memcpy(to + p * NR, source + p * b.row, sizeof(float) * (size_t)columns);
    } else {
      // Blocks of positions keep the written lines in the cache while the columns are read one after the other.
      for (long p0 = 0; p0 < k; p0 += 64) {
        const long end = min_long(k, p0 + 64);
        for (long c = 0; c < columns; c++)
          for (long p = p0; p < end; p++) to[p * NR + c] = source[c * b.column + p * b.row];
      }
    }
    to += NR * k;
  }
}

/** A tile [MR, NR] of the product of two strips. */
static inline __attribute__((always_inline)) void multiply_strips(long k, const float *a, const float *b, vec c[MR][NV]) {
  vec sum[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) sum[i][v] = (vec){0};
  for (long p = 0; p < k; p++) {
    vec row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) row[v] = *(const vec *)(b + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
      const vec x = splat(a[i]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) sum[i][v] += x * row[v];
    }
    a += MR;
    b += NR;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) c[i][v] = sum[i][v];
}

/** Stores the first rows and columns of a tile. */
static void store_part(const vec tile[MR][NV], long rows, long columns, float *c, long ldc, Store mode) {
  const float *values = (const float *)tile;
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++)
      c[i * ldc + j] = mode == ADD ? c[i * ldc + j] + values[i * NR + j] : values[i * NR + j];
}

void multiply_packed(long m, long n, long k, const float *a, const float *b, float *c, long ldc, Store mode) {
  for (long j = 0; j < n; j += NR) {
    for (long i = 0; i < m; i += MR) {
      vec tile[MR][NV];
      float *target = c + i * ldc + j;
      multiply_strips(k, a + i * k, b + j * k, tile);
      if (m - i < MR || n - j < NR) {
        store_part((const vec(*)[NV])tile, min_long(MR, m - i), min_long(NR, n - j), target, ldc, mode);
        continue;
      }
#pragma GCC unroll 16
      for (int r = 0; r < MR; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
          float *at = target + r * ldc + v * LANES;
          store(at, mode == ADD ? load(at) + tile[r][v] : tile[r][v]);
        }
    }
  }
}
