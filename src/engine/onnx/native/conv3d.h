/** @file Convolutions with any kernel and stride: their description and their packed weights. */
#pragma once
#include "gemm.h"
#include "neighbourhoods.h"

/** What `ints` begins with: B, T, H, W and channels of x, kernel, stride, padding, extents of y, channels of y. */
typedef struct {
  long B, extent[AXES], in, kernel[AXES], stride[AXES], padding[AXES], count[AXES], out;
} Geometry;

static inline Geometry geometry_of(const Call *call) {
  const int64_t *n = call->ints;
  Geometry g = {.B = n[0], .in = n[4], .out = n[17]};
  for (int axis = 0; axis < AXES; axis++) {
    g.extent[axis] = n[1 + axis];
    g.kernel[axis] = n[5 + axis];
    g.stride[axis] = n[8 + axis];
    g.padding[axis] = n[11 + axis];
    g.count[axis] = n[14 + axis];
  }
  return g;
}

/** The neighbourhoods in x of the positions of y; without zeros. */
static inline Neighbourhoods forward_neighbourhoods(const Geometry *g, const float *x) {
  Neighbourhoods n = {.data = x, .C = g->in, .B = g->B};
  for (int axis = 0; axis < AXES; axis++) {
    n.extent[axis] = g->extent[axis];
    n.count[axis] = g->count[axis];
    n.kernel[axis] = g->kernel[axis];
    n.stride[axis] = g->stride[axis];
    n.start[axis] = -g->padding[axis];
  }
  return n;
}

/** A matrix [K, columns] in blocks of `depth` rows, each in strips of NR columns; filled up with zeros. */
typedef struct {
  float *data;
  long K, depth, columns;
} Packed;

static inline size_t packed_size(const Packed *p) {
  return (size_t)(ceil_div(p->K, p->depth) * p->depth * round_up(p->columns, NR));
}

/** Row k of the strip of columns j to j + NR; the rows of a block follow each other. */
static inline float *strip_at(const Packed *p, long k, long j) {
  return p->data + k / p->depth * p->depth * round_up(p->columns, NR) + j * p->depth + k % p->depth * NR;
}

/** Weights [out, in, t, h, w], and the `count` taps first, first - step, … that a convolution uses along each axis. */
typedef struct {
  const float *data;
  long out, in, kernel[AXES];
  long first[AXES], step[AXES], count[AXES];
} Taps;

/** Packs [taps·in, out], for the convolution itself. All taps must be used in their order. */
void pack_weights(const Call *call, const Packed *packed, const Taps *taps);
/** Packs [taps·out, in], for the gradient of the input. */
void pack_transposed_weights(const Call *call, const Packed *packed, const Taps *taps);
