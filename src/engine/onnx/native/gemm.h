/**
 * @file Products of packed blocks of matrices.
 *
 * A block of the first operand is packed into strips of MR rows, one of the second into strips of NR columns, so that the
 * inner loop reads both from front to back (Goto and van de Geijn, 2008). Strips are filled up with zeros.
 */
#pragma once
#include "kernel.h"

#if LANES == 16
#define MR 12
#else
#define MR 6
#endif
/** Vectors in a row of a tile of results. */
#define NV 2
#define NR (NV * LANES)

/** A matrix in memory: element (i, j) is at data[i * row + j * column]. One of the distances is 1. */
typedef struct {
  const float *data;
  long row, column;
} Matrix;

static inline Matrix from(Matrix x, long i, long j) {
  return (Matrix){x.data + i * x.row + j * x.column, x.row, x.column};
}

/** Floats of a packed block of the first operand [m, k], behind which a vector may be written, and of the second [k, n]. */
static inline size_t packed_a_size(long m, long k) { return (size_t)(ceil_div(m, MR) * MR * k + LANES); }
static inline size_t packed_b_size(long k, long n) { return (size_t)(ceil_div(n, NR) * NR * k); }

/** Packs [m, k]. The strip of rows i to i + MR starts at `to + i * k`. */
void pack_a(float *to, Matrix a, long m, long k);
/** Packs [k, n] into memory aligned to a vector. The strip of columns j to j + NR starts at `to + j * k`. */
void pack_b(float *to, Matrix b, long k, long n);

typedef enum { OVERWRITE, ADD } Store;

/** Computes c = a·b or c += a·b for packed a [m, k] and b [k, n]. `c` has contiguous rows, `ldc` floats apart. */
void multiply_packed(long m, long n, long k, const float *a, const float *b, float *c, long ldc, Store mode);
