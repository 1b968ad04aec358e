/** @file Products of packed blocks of matrices. */
#include "tile.h"
#include <string.h>

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/** Exchanges the halves of two vectors that belong to each other, in groups of 1, 2, 4 (and 8) lanes. */
#if LANES == 16
#define EVEN_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define ODD_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EVEN_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define ODD_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define ODD_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define EVEN_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define ODD_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#else
#define EVEN_1 0, 8, 2, 10, 4, 12, 6, 14
#define ODD_1 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN_2 0, 1, 8, 9, 4, 5, 12, 13
#define ODD_2 2, 3, 10, 11, 6, 7, 14, 15
#define EVEN_4 0, 1, 2, 3, 8, 9, 10, 11
#define ODD_4 4, 5, 6, 7, 12, 13, 14, 15
#endif

#define EXCHANGE(rows, group)                                               \
  _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) {                \
    if (i & (group)) continue;                                              \
    const vec a = (rows)[i], b = (rows)[i + (group)];                       \
    (rows)[i] = SHUFFLE(a, b, EVEN_##group);                                \
    (rows)[i + (group)] = SHUFFLE(a, b, ODD_##group);                       \
  }

/** Transposes a square of LANES rows in registers. */
static inline __attribute__((always_inline)) void transpose(vec rows[LANES]) {
  EXCHANGE(rows, 1)
  EXCHANGE(rows, 2)
  EXCHANGE(rows, 4)
#if LANES == 16
  EXCHANGE(rows, 8)
#endif
}

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
