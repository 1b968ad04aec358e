/**
 * @file Neighbourhoods in maps [B, T, H, W, C], which a convolution with any kernel and stride reads.
 *
 * Along W and C a neighbourhood is contiguous. It therefore consists of lines of kernel_w·C floats, one for each place of the
 * kernel along T and H, which are read where they are. Only lines that reach beyond the map along W are copied, to put zeros in.
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

static inline void advance(const Neighbourhoods *n, Place *p) {
  for (int axis = AXIS_W; axis >= 0; axis--) {
    if (++p->at[axis] < n->count[axis]) return;
    p->at[axis] = 0;
  }
  p->b++;
}

/** Lines of a neighbourhood, and floats of a line. */
static inline long count_lines(const Neighbourhoods *n) { return n->kernel[AXIS_T] * n->kernel[AXIS_H]; }
static inline long line_size(const Neighbourhoods *n) { return n->kernel[AXIS_W] * n->C; }

/** The position along W where the neighbourhood begins. */
static inline long column_of(const Neighbourhoods *n, const Place *p) {
  return p->at[AXIS_W] * n->stride[AXIS_W] + n->start[AXIS_W];
}

/** The row of the map that holds a line of the position's neighbourhood, or null for a row outside. */
static inline const float *row_of(const Neighbourhoods *n, const Place *p, long line) {
  const long t = p->at[AXIS_T] * n->stride[AXIS_T] + n->start[AXIS_T] + line / n->kernel[AXIS_H];
  const long h = p->at[AXIS_H] * n->stride[AXIS_H] + n->start[AXIS_H] + line % n->kernel[AXIS_H];
  if (t < 0 || t >= n->extent[AXIS_T] || h < 0 || h >= n->extent[AXIS_H]) return NULL;
  return n->data + ((p->b * n->extent[AXIS_T] + t) * n->extent[AXIS_H] + h) * n->extent[AXIS_W] * n->C;
}

/** A whole line, or null if a part of it is outside of the map along W. */
static inline const float *whole_line(const Neighbourhoods *n, const Place *p, long line) {
  const float *row = row_of(n, p, line);
  const long begin = column_of(n, p);
  if (!row) return n->zeros;
  return begin >= 0 && begin + n->kernel[AXIS_W] <= n->extent[AXIS_W] ? row + begin * n->C : NULL;
}

/** The floats from `first` to before `first + size` of a line, in the map or in `copy`, which has room for them. */
static inline const float *read_line(const Neighbourhoods *n, const Place *p, long line, long first, long size,
                                     float *copy) {
  const float *data = row_of(n, p, line);
  if (!data) return n->zeros;
  const long row = n->extent[AXIS_W] * n->C;
  const long begin = column_of(n, p) * n->C + first, end = begin + size;
  if (begin >= 0 && end <= row) return data + begin;
  if (begin >= row || end <= 0) return n->zeros;
  const long inside = begin < 0 ? 0 : begin, behind = min_long(end, row);
  memset(copy, 0, sizeof(float) * (size_t)size);
  memcpy(copy + (inside - begin), data + inside, sizeof(float) * (size_t)(behind - inside));
  return copy;
}
