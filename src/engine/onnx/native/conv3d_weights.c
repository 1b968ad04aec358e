/** @file Packs the weights of convolutions. */
#include "conv3d.h"
#include "transpose.h"

/** Input channels, or rows, of a task. */
#define CHUNK_ROWS 64

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

/** Packs the weights of NR input channels for some filters. */
static void pack_inputs(void *state, size_t index) {
  const Packing *s = state;
  const Taps *w = s->taps;
  const long taps = w->kernel[0] * w->kernel[1] * w->kernel[2], strips = ceil_div(w->in, NR);
  const long j = (long)index % strips * NR, channels = min_long(NR, w->in - j);
  const long first = (long)index / strips * CHUNK_ROWS, end = min_long(w->out, first + CHUNK_ROWS);
  long line = 0;
  for (long t = 0; t < w->count[AXIS_T]; t++)
    for (long h = 0; h < w->count[AXIS_H]; h++)
      for (long k = 0; k < w->count[AXIS_W]; k++, line++) {
        const long at_t = w->first[AXIS_T] - t * w->step[AXIS_T], at_h = w->first[AXIS_H] - h * w->step[AXIS_H];
        const long at_w = w->first[AXIS_W] - k * w->step[AXIS_W];
        const long tap = (at_t * w->kernel[AXIS_H] + at_h) * w->kernel[AXIS_W] + at_w;
        for (long o = first; o < end; o++) {
          const float *from = w->data + (o * w->in + j) * taps + tap;
          float *to = strip_at(s->packed, line * w->out + o, j);
          if (taps == 1) memcpy(to, from, sizeof(float) * (size_t)channels);
          else
            for (long c = 0; c < channels; c++) to[c] = from[c * taps];
          memset(to + channels, 0, sizeof(float) * (size_t)(NR - channels));
        }
      }
}

void pack_transposed_weights(const Call *call, const Packed *packed, const Taps *taps) {
  Packing s = {packed, taps};
  parallel(call, (size_t)(ceil_div(taps->in, NR) * ceil_div(taps->out, CHUNK_ROWS)), pack_inputs, &s);
}
