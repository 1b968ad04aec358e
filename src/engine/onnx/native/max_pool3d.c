/** @file Maxima over windows of maps [B, T, H, W, C], and their gradient. */
#include "kernels.h"
#include "neighbourhoods.h"
#include "pointwise.h"

#define INLINE static inline __attribute__((always_inline))

/** Floats of a task. */
#define TASK_FLOATS (1L << 16)

typedef struct {
  Neighbourhoods windows;
  const float *y, *dy;
  /** y, or dx. */
  float *result;
  /** Rows along W of a task; for the gradient, extents along T and H of the part of x of a task, and parts along both axes. */
  long rows, part[2], parts[2];
} Pool;

/** Places from `first` to before `end` along an axis. */
typedef struct {
  long first, end;
} Span;

/** The part of a window along an axis that is inside of the map. */
static Span window_at(const Neighbourhoods *n, int axis, long position) {
  const long begin = position * n->stride[axis] + n->start[axis];
  return (Span){begin < 0 ? 0 : begin, min_long(begin + n->kernel[axis], n->extent[axis])};
}

/** The windows that hold any of some places of x. */
static Span windows_of(const Neighbourhoods *n, int axis, Span x) {
  const long before = x.first - n->start[axis] - n->kernel[axis] + 1, last = x.end - 1 - n->start[axis];
  return (Span){before > 0 ? ceil_div(before, n->stride[axis]) : 0, min_long(last / n->stride[axis] + 1, n->count[axis])};
}

/** The inside of a window. */
typedef struct {
  long b;
  Span t, h, w;
} Window;

static Window window_of(const Neighbourhoods *n, const Place *p) {
  Span inside[AXES];
  for (int axis = 0; axis < AXES; axis++) inside[axis] = window_at(n, axis, p->at[axis]);
  return (Window){p->b, inside[AXIS_T], inside[AXIS_H], inside[AXIS_W]};
}

/** Where channel 0 of a place of x is. */
static long float_at(const Neighbourhoods *n, long b, long t, long h, long w) {
  return (((b * n->extent[AXIS_T] + t) * n->extent[AXIS_H] + h) * n->extent[AXIS_W] + w) * n->C;
}

/** The maxima of `count` channels from channel c; NaN is the largest number. */
INLINE vec maximum(const Neighbourhoods *n, const Window *window, long c, long count) {
  vec most = splat(-__builtin_inff());
  for (long t = window->t.first; t < window->t.end; t++)
    for (long h = window->h.first; h < window->h.end; h++) {
      const float *row = n->data + float_at(n, window->b, t, h, 0) + c;
      for (long w = window->w.first; w < window->w.end; w++) {
        const vec x = load_some(row + w * n->C, count);
        most = pick((x > most) | (x != x), x, most);
      }
    }
  return most;
}

static void pool_task(void *state, size_t index) {
  const Pool *s = state;
  const Neighbourhoods *n = &s->windows;
  const long width = n->count[AXIS_W], first = (long)index * s->rows * width;
  const long end = min_long(count_positions(n), first + s->rows * width);
  Place place = position_at(n, first);
  for (long p = first; p < end; p++, advance(n, &place, 1)) {
    const Window window = window_of(n, &place);
    float *y = s->result + p * n->C;
    long c = 0;
    for (; c + LANES <= n->C; c += LANES) store(y + c, maximum(n, &window, c, LANES));
    if (c < n->C) store_some(y + c, maximum(n, &window, c, n->C - c), n->C - c);
  }
}

/** Adds dy to dx at the first maximum of a window, where it is in the part of x of the task. */
INLINE void add_slope(const Pool *s, const Window *window, Window part, long position, long c, long count) {
  const Neighbourhoods *n = &s->windows;
  const vec y = load_some(s->y + position * n->C + c, count), dy = load_some(s->dy + position * n->C + c, count);
  ivec rest = ~(ivec){0};
  for (long t = window->t.first; t < window->t.end; t++)
    for (long h = window->h.first; h < window->h.end; h++) {
      const int is_own = t >= part.t.first && t < part.t.end && h >= part.h.first && h < part.h.end;
      const long row = float_at(n, window->b, t, h, 0) + c;
      for (long w = window->w.first; w < window->w.end; w++) {
        const long at = row + w * n->C;
        const vec x = load_some(n->data + at, count);
        const ivec is_first = ((x == y) | (x != x)) & rest;
        rest &= ~is_first;
        if (is_own) store_some(s->result + at, load_some(s->result + at, count) + (vec)(is_first & (ivec)dy), count);
      }
    }
}

static void differentiate_task(void *state, size_t index) {
  const Pool *s = state;
  const Neighbourhoods *n = &s->windows;
  const long h0 = (long)index % s->parts[AXIS_H] * s->part[AXIS_H], rest = (long)index / s->parts[AXIS_H];
  const long t0 = rest % s->parts[AXIS_T] * s->part[AXIS_T], b = rest / s->parts[AXIS_T];
  const long t1 = min_long(t0 + s->part[AXIS_T], n->extent[AXIS_T]), h1 = min_long(h0 + s->part[AXIS_H], n->extent[AXIS_H]);
  const Window part = {b, {t0, t1}, {h0, h1}, {0, n->extent[AXIS_W]}};
  for (long t = part.t.first; t < part.t.end; t++)
    memset(s->result + float_at(n, b, t, h0, 0), 0, sizeof(float) * (size_t)((h1 - h0) * n->extent[AXIS_W] * n->C));
  const Span along_t = windows_of(n, AXIS_T, part.t), along_h = windows_of(n, AXIS_H, part.h);
  for (long t = along_t.first; t < along_t.end; t++)
    for (long h = along_h.first; h < along_h.end; h++)
      for (long w = 0; w < n->count[AXIS_W]; w++) {
        const Place place = {b, {t, h, w}};
        const Window window = window_of(n, &place);
        const long position = ((b * n->count[AXIS_T] + t) * n->count[AXIS_H] + h) * n->count[AXIS_W] + w;
        long c = 0;
        for (; c + LANES <= n->C; c += LANES) add_slope(s, &window, part, position, c, LANES);
        if (c < n->C) add_slope(s, &window, part, position, c, n->C - c);
      }
}

/** The windows that ints describe: B, T, H, W, C, kernel, stride, padding, extents of y. */
static Neighbourhoods windows_at(const Call *call, const float *x) {
  const int64_t *ints = call->ints;
  Neighbourhoods n = {.data = x, .C = ints[4], .B = ints[0]};
  for (int axis = 0; axis < AXES; axis++) {
    n.extent[axis] = ints[1 + axis];
    n.kernel[axis] = ints[5 + axis];
    n.stride[axis] = ints[8 + axis];
    n.start[axis] = -ints[11 + axis];
    n.count[axis] = ints[14 + axis];
  }
  return n;
}

/** Operand x; ints as above. */
const char *max_pool3d(const Call *call) {
  Pool s = {.windows = windows_at(call, call->in[0]), .result = call->out[0]};
  const long row = s.windows.count[AXIS_W] * s.windows.C;
  const long rows = s.windows.B * s.windows.count[AXIS_T] * s.windows.count[AXIS_H];
  s.rows = row > 0 ? ceil_div(TASK_FLOATS, row) : 1;
  parallel(call, (size_t)ceil_div(rows, s.rows), pool_task, &s);
  return NULL;
}

/** Operands dy, x and y; ints as above. */
const char *max_pool3d_grad(const Call *call) {
  Pool s = {.windows = windows_at(call, call->in[1]), .dy = call->in[0], .y = call->in[2], .result = call->out[0]};
  const Neighbourhoods *n = &s.windows;
  const long row = n->extent[AXIS_W] * n->C;
  // Parts of whole strides share fewer windows.
  s.part[AXIS_T] = n->stride[AXIS_T];
  s.part[AXIS_H] = round_up(row > 0 ? ceil_div(TASK_FLOATS, row * s.part[AXIS_T]) : 1, n->stride[AXIS_H]);
  for (int axis = AXIS_T; axis <= AXIS_H; axis++) s.parts[axis] = ceil_div(n->extent[axis], s.part[axis]);
  parallel(call, (size_t)(n->B * s.parts[AXIS_T] * s.parts[AXIS_H]), differentiate_task, &s);
  return NULL;
}
