/** @file Convolutions of any geometry that Winograd's filtering computes (winograd.h). */
#include "conv3d.h"
#include "winograd.h"

/** With fewer channels, the transforms take longer than the multiplications that they save. */
#define MIN_CHANNELS 32

int suits_winograd(const Geometry *g) {
  for (int axis = 0; axis < AXES; axis++) {
    const int suits = g->kernel[axis] == 3 || (g->kernel[axis] == 1 && axis == AXIS_T);
    if (!suits || g->stride[axis] != 1 || g->padding[axis] != g->kernel[axis] / 2) return 0;
  }
  return g->in >= MIN_CHANNELS && g->out >= MIN_CHANNELS;
}

static Map map_with(const Call *call, int operand, const Geometry *g, long channels) {
  return map_of(call->in[operand], call->ints, channels, (int)g->kernel[AXIS_T]);
}

const char *convolve_by_winograd(const Call *call, const Geometry *g) {
  WinogradConvolution c = {.from = map_with(call, 0, g, g->in), .weight = call->in[1]};
  c.sum_stride = taps_of(&c.from);
  c.result_stride = g->in * c.sum_stride;
  c.to = call->out[0];
  c.channels = g->out;
  c.bias = call->in[2];
  c.residual = call->in[3];
  c.relu = (int)call->ints[GEOMETRY_INTS];
  return winograd_convolve(call, &c);
}

const char *grad_input_by_winograd(const Call *call, const Geometry *g) {
  WinogradConvolution c = {.from = map_with(call, 0, g, g->out), .weight = call->in[1], .mirrored = 1};
  c.result_stride = taps_of(&c.from);
  c.sum_stride = g->in * c.result_stride;
  c.to = call->out[0];
  c.channels = g->in;
  return winograd_convolve(call, &c);
}

const char *grad_filter_by_winograd(const Call *call, const Geometry *g) {
  return winograd_grad_filter(call, map_with(call, 0, g, g->in), map_with(call, 1, g, g->out), call->out[0]);
}
