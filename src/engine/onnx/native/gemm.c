/** @file Products of packed blocks of matrices. */
#include "tile.h"
#include "transpose.h"
#include <string.h>

/** Packs rows that are contiguous along k. Whole vectors are written, whose last lanes the next column overwrites. */
static void pack_rows_a(float *to, Matrix a, long rows, long k) {
  long p = 0;
  for (; p + LANES <= k && rows == MR; p += LANES) {
    vec square[LANES];
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++) square[r] = r < MR ? load(a.data + r * a.row + p) : (vec){0};
    transpose(square);
#pragma GCC unroll 16
    for (int c = 0; c < LANES; c++) store(to + (p + c) * MR, square[c]);
  }
  for (; p < k; p++)
    for (long r = 0; r < rows; r++) to[p * MR + r] = a.data[r * a.row + p];
}

/** Packs a block whose columns are contiguous. One column after the other is read from front to back. */
static void pack_columns_a(float *to, Matrix a, long m, long k) {
  for (long p = 0; p < k; p++) {
    const float *column = a.data + p * a.column;
    long i = 0;
    // Behind the last column of a strip, a whole vector would reach into the next strip.
    for (; i + LANES <= m && p + 1 < k; i += MR) store(to + i * k + p * MR, load(column + i));
    for (; i < m; i += MR)
      for (long r = 0; r < min_long(MR, m - i); r++) to[i * k + p * MR + r] = column[i + r];
  }
}

void pack_a(float *to, Matrix a, long m, long k) {
  const long whole = m / MR * MR;
  if (whole < m) memset(to + whole * k, 0, sizeof(float) * MR * (size_t)k);
  if (a.row == 1) {
    pack_columns_a(to, a, m, k);
    return;
  }
  for (long i = 0; i < m; i += MR) pack_rows_a(to + i * k, from(a, i, 0), min_long(MR, m - i), k);
}

/** Packs columns that are contiguous along k. */
static void pack_columns_b(float *to, Matrix b, long k, long columns) {
  long p = 0;
  for (; p + LANES <= k && columns == NR; p += LANES) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
      vec square[LANES];
#pragma GCC unroll 16
      for (int c = 0; c < LANES; c++) square[c] = load(b.data + (v * LANES + c) * b.column + p);
      transpose(square);
#pragma GCC unroll 16
      for (int r = 0; r < LANES; r++) *(vec *)(to + (p + r) * NR + v * LANES) = square[r];
    }
  }
  for (; p < k; p++)
    for (long c = 0; c < columns; c++) to[p * NR + c] = b.data[c * b.column + p];
}

/** Packs a block whose rows are contiguous. */
static void pack_rows_b(float *to, Matrix b, long k, long n) {
  for (long p = 0; p < k; p++) {
    const float *row = b.data + p * b.row;
    long j = 0;
    for (; j + NR <= n; j += NR)
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) *(vec *)(to + j * k + p * NR + v * LANES) = load(row + j + v * LANES);
    for (; j < n; j += NR) memcpy(to + j * k + p * NR, row + j, sizeof(float) * (size_t)(n - j));
  }
}

void pack_b(float *to, Matrix b, long k, long n) {
  const long whole = n / NR * NR;
  if (whole < n) memset(to + whole * k, 0, sizeof(float) * NR * (size_t)k);
  if (b.column == 1) {
    pack_rows_b(to, b, k, n);
    return;
  }
  for (long j = 0; j < n; j += NR) pack_columns_b(to + j * k, from(b, 0, j), k, min_long(NR, n - j));
}

void multiply_packed(long m, long n, long k, const float *a, const float *b, float *c, long ldc, Store mode) {
  for (long j = 0; j < n; j += NR) {
    for (long i = 0; i < m; i += MR) {
      const float *rows = a + i * k, *columns = b + j * k;
      float *target = c + i * ldc + j;
      if (m - i >= MR && n - j >= NR) {
        multiply_tile(MR, k, rows, 1, MR, columns, target, ldc, mode);
        continue;
      }
      float tile[MR * NR];
      multiply_tile(MR, k, rows, 1, MR, columns, tile, NR, OVERWRITE);
      store_part(tile, min_long(MR, m - i), min_long(NR, n - j), target, ldc, mode);
    }
  }
}
