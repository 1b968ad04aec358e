/** @file Packs the weights of convolutions. */
#include "conv3d.h"
#include "transpose.h"

/** Input channels, or rows, of a task. */
#define CHUNK_ROWS 64
/** Columns of a task that packs rows as they are. */
#define CHUNK_COLUMNS (8 * NR)

typedef struct {
  const Packed *packed;
  const Taps *taps;
} Packing;

/** Packs the weights of NR filters for some input channels. */
static void pack_filters(void *state, size_t index) {
  const Packing *s = state;
  const Taps *w = s->taps;
  const long taps = w->kernel[0] * w->kernel[1] * w->kernel[2], strips = ceil_div(w->out, NR);
  const long j = (long)index % strips * NR, filters = min_long(NR, w->out - j);
  const long first = (long)index / strips * CHUNK_ROWS, end = min_long(w->in, first + CHUNK_ROWS);
  const float *from = w->data + j * w->in * taps;
  const long row = w->in * taps, last = end * taps;
  long i = first, tap = 0, q = first * taps;
  for (; q + LANES <= last && filters == NR; q += LANES) {
    vec square[NV][LANES];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
#pragma GCC unroll 16
      for (int c = 0; c < LANES; c++) square[v][c] = load(from + (v * LANES + c) * row + q);
      transpose(square[v]);
    }
    for (int r = 0; r < LANES; r++) {
      float *to = strip_at(s->packed, tap * w->in + i, j);
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) *(vec *)(to + v * LANES) = square[v][r];
      if (++tap == taps) tap = 0, i++;
    }
  }
  for (; q < last; q++) {
    float *to = strip_at(s->packed, tap * w->in + i, j);
    for (long c = 0; c < NR; c++) to[c] = c < filters ? from[c * row + q] : 0;
    if (++tap == taps) tap = 0, i++;
  }
}

void pack_weights(const Call *call, const Packed *packed, const Taps *taps) {
  Packing s = {packed, taps};
  parallel(call, (size_t)(ceil_div(taps->out, NR) * ceil_div(taps->in, CHUNK_ROWS)), pack_filters, &s);
}

/** Packs every `step`-th of some floats, and zeros up to NR. */
static inline void pack_row(const float *from, long step, long count, float *to) {
  if (step == 1 && count == NR) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) *(vec *)(to + v * LANES) = load(from + v * LANES);
    return;
  }
  for (long c = 0; c < count; c++) to[c] = from[c * step];
  for (long c = count; c < NR; c++) to[c] = 0;
}

/** Packs the weights of some input channels for some filters. */
static void pack_inputs(void *state, size_t index) {
  const Packing *s = state;
  const Taps *w = s->taps;
  const long taps = w->kernel[0] * w->kernel[1] * w->kernel[2], groups = ceil_div(w->in, CHUNK_COLUMNS);
  const long first_column = (long)index % groups * CHUNK_COLUMNS, end_column = min_long(w->in, first_column + CHUNK_COLUMNS);
  const long first = (long)index / groups * CHUNK_ROWS, end = min_long(w->out, first + CHUNK_ROWS);
  for (long o = first; o < end; o++) {
    long line = 0;
    for (long t = 0; t < w->count[AXIS_T]; t++)
      for (long h = 0; h < w->count[AXIS_H]; h++)
        for (long k = 0; k < w->count[AXIS_W]; k++, line++) {
          const long at_t = w->first[AXIS_T] - t * w->step[AXIS_T], at_h = w->first[AXIS_H] - h * w->step[AXIS_H];
          const long at_w = w->first[AXIS_W] - k * w->step[AXIS_W];
          const long tap = (at_t * w->kernel[AXIS_H] + at_h) * w->kernel[AXIS_W] + at_w;
          float *to = strip_at(s->packed, line * w->out + o, 0);
          for (long j = first_column; j < end_column; j += NR)
            pack_row(w->data + (o * w->in + j) * taps + tap, taps, min_long(NR, end_column - j), to + j * s->packed->depth);
        }
  }
}

void pack_transposed_weights(const Call *call, const Packed *packed, const Taps *taps) {
  Packing s = {packed, taps};
  parallel(call, (size_t)(ceil_div(taps->in, CHUNK_COLUMNS) * ceil_div(taps->out, CHUNK_ROWS)), pack_inputs, &s);
}
