/**
 * @file Neighbourhoods in maps [B, T, H, W, C], which a convolution with any kernel and stride reads.
 *
 * Along W and C a neighbourhood is contiguous. It therefore consists of lines of kernel_w·C floats, one for each place of the
 * kernel along T and H, which are read where they are. Only lines that reach beyond the map along W are copied, to put zeros
 * in. The floats of a neighbourhood are numbered line by line, that is, in the order (t, h, w, channel).
 */
#pragma once
#include "kernel.h"
#include <string.h>

enum { AXIS_T, AXIS_H, AXIS_W, AXES };

/** A place in a map or among positions. */
typedef struct {
  long b, at[AXES];
} Place;

/** The neighbourhoods of B·count[T]·count[H]·count[W] positions. */
typedef struct {
  const float *data;
  /** Extents of the map, and its channels. */
  long extent[AXES], C;
  long B, count[AXES];
  /** The neighbourhood of position p begins at p·stride + start, also outside of the map, where it holds zeros. */
  long kernel[AXES], stride[AXES], start[AXES];
  /** A line of zeros. */
  const float *zeros;
} Neighbourhoods;

static inline long count_positions(const Neighbourhoods *n) {
  return n->B * n->count[AXIS_T] * n->count[AXIS_H] * n->count[AXIS_W];
}

static inline Place position_at(const Neighbourhoods *n, long index) {
  Place p;
  for (int axis = AXIS_W; axis >= 0; axis--) {
    p.at[axis] = index % n->count[axis];
    index /= n->count[axis];
  }
  p.b = index;
  return p;
}

/** Moves on by some positions, at most to the end of a row along W. */
static inline void advance(const Neighbourhoods *n, Place *p, long positions) {
  p->at[AXIS_W] += positions;
  for (int axis = AXIS_W; axis > 0 && p->at[axis] == n->count[axis]; axis--) {
    p->at[axis] = 0;
    p->at[axis - 1]++;
  }
  if (p->at[AXIS_T] < n->count[AXIS_T]) return;
  p->at[AXIS_T] = 0;
  p->b++;
}

/** How many of the next positions are in the same row along W. */
static inline long row_rest(const Neighbourhoods *n, const Place *p, long positions) {
  return min_long(positions, n->count[AXIS_W] - p->at[AXIS_W]);
}

/** Floats of a line, and of a neighbourhood. */
static inline long line_size(const Neighbourhoods *n) { return n->kernel[AXIS_W] * n->C; }
static inline long neighbourhood_size(const Neighbourhoods *n) {
  return n->kernel[AXIS_T] * n->kernel[AXIS_H] * line_size(n);
}

/** The row of the map that holds a line of the position's neighbourhood, or null for a row outside. */
static inline const float *row_of(const Neighbourhoods *n, const Place *p, long line) {
  const long t = p->at[AXIS_T] * n->stride[AXIS_T] + n->start[AXIS_T] + line / n->kernel[AXIS_H];
  const long h = p->at[AXIS_H] * n->stride[AXIS_H] + n->start[AXIS_H] + line % n->kernel[AXIS_H];
  if (t < 0 || t >= n->extent[AXIS_T] || h < 0 || h >= n->extent[AXIS_H]) return NULL;
  return n->data + ((p->b * n->extent[AXIS_T] + t) * n->extent[AXIS_H] + h) * n->extent[AXIS_W] * n->C;
}

/** Where the position's neighbourhood begins in its rows, in floats. */
static inline long begin_in_row(const Neighbourhoods *n, const Place *p) {
  return (p->at[AXIS_W] * n->stride[AXIS_W] + n->start[AXIS_W]) * n->C;
}

/** `size` floats of a row from `begin` on, in the row or, if some of them are outside, in `copy`. The row may be null. */
static inline const float *part_of_row(const Neighbourhoods *n, const float *row, long begin, long size, float *copy) {
  const long end = begin + size, whole = n->extent[AXIS_W] * n->C;
  if (!row || begin >= whole || end <= 0) return n->zeros;
  if (begin >= 0 && end <= whole) return row + begin;
  const long inside = begin < 0 ? 0 : begin, behind = min_long(end, whole);
  memset(copy, 0, sizeof(float) * (size_t)size);
  memcpy(copy + (inside - begin), row + inside, sizeof(float) * (size_t)(behind - inside));
  return copy;
}
