/** @file Winograd's transforms of tiles and kernels. All of them are additions, because B and A only hold 0, 1 and -1. */
#include "winograd.h"
#include <string.h>

Map map_of(const float *data, const int64_t *extents, long C, int depth) {
  const long B = extents[0], T = extents[1], H = extents[2], W = extents[3];
  return (Map){data, B, T, H, W, C, C, depth == 1 ? T : ceil_div(T, 2), ceil_div(H, 2), ceil_div(W, 2), depth};
}

long count_tiles(const Map *map) { return map->B * map->tiles_t * map->tiles_h * map->tiles_w; }

Tile tile_at(const Map *map, long index) {
  const long w = index % map->tiles_w, row = index / map->tiles_w;
  const long h = row % map->tiles_h, plane = row / map->tiles_h;
  return (Tile){plane / map->tiles_t, plane % map->tiles_t * (map->depth == 1 ? 1 : 2), h * 2, w * 2};
}

/** A place outside of every map. */
#define NOWHERE (-(1L << 40))

/** A row of B or of A's transpose: the places of its two elements, counted from the start of the tile, and the elements. */
typedef struct {
  long place[2];
  float factor[2];
} Sum;

static const Sum SUMS[][ROW] = {
    [NEIGHBOURHOOD] = {{{-1, 1}, {1, -1}}, {{0, 1}, {1, 1}}, {{1, 0}, {1, -1}}, {{0, 2}, {1, -1}}},
    [SLOPE] = {{{0, NOWHERE}, {1, 1}}, {{0, 1}, {1, 1}}, {{0, 1}, {1, -1}}, {{NOWHERE, 1}, {1, -1}}},
};

/** Takes the place itself, along T with kernels of depth 1. */
static const Sum ITSELF = {{0, NOWHERE}, {1, 1}};

/** The rows of positions inside the map that a column is a sum of, at most two along T by two along H, and their factors. */
typedef struct {
  int count;
  const float *row[4];
  float factor[4];
} Rows;

static Rows rows_of(const Map *map, Transform transform, Tile tile, int pair) {
  const Sum *along_t = map->depth == 1 ? &ITSELF : &SUMS[transform][pair / ROW], *along_h = &SUMS[transform][pair % ROW];
  Rows rows = {0};
  for (int i = 0; i < 4; i++) {
    const long t = tile.t + along_t->place[i / 2], h = tile.h + along_h->place[i % 2];
    if (t < 0 || t >= map->T || h < 0 || h >= map->H) continue;
    rows.row[rows.count] = map->data + ((tile.b * map->T + t) * map->H + h) * map->W * map->position;
    rows.factor[rows.count++] = along_t->factor[i / 2] * along_h->factor[i % 2];
  }
  return rows;
}

/** Sums the rows from position `at`. */
static void sum_rows(const Rows *rows, long at, float *restrict to, long n) {
  const float *const *row = rows->row, *f = rows->factor;
  const float f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3];
  const float *r0 = row[0] + at, *r1 = row[1] + at, *r2 = row[2] + at, *r3 = row[3] + at;
  // Both axes have the same number of elements for all of their rows, so there are never three rows.
  switch (rows->count) {
    case 0: memset(to, 0, sizeof(float) * (size_t)n); break;
    case 1: for (long c = 0; c < n; c++) to[c] = f0 * r0[c]; break;
    case 2: for (long c = 0; c < n; c++) to[c] = f0 * r0[c] + f1 * r1[c]; break;
    default: for (long c = 0; c < n; c++) to[c] = f0 * r0[c] + f1 * r1[c] + f2 * r2[c] + f3 * r3[c];
  }
}

/** Computes the columns w and w + 1; columns outside of the map are zero. */
static void sum_columns(const Map *map, const Rows *rows, long w, float *to) {
  const long C = map->C, begin = w < 0 ? 1 : 0, end = w + 2 > map->W ? map->W - w : 2;
  memset(to, 0, sizeof(float) * (size_t)(begin * C));
  if (map->position == C && end > begin) sum_rows(rows, (w + begin) * C, to + begin * C, (end - begin) * C);
  else
    for (long i = begin; i < end; i++) sum_rows(rows, (w + i) * map->position, to + i * C, C);
  memset(to + end * C, 0, sizeof(float) * (size_t)((2 - end) * C));
}

/** The four points of a neighbourhood for n channels, from its columns, two by two. The points are `stride` floats apart. */
static inline void write_neighbourhood(const float *z01, const float *z23, long C, long n, float *restrict to, long stride) {
  for (long c = 0; c < n; c++) {
    const float z0 = z01[c], z1 = z01[C + c], z2 = z23[c], z3 = z23[C + c];
    to[c] = z0 - z2;
    to[stride + c] = z1 + z2;
    to[2 * stride + c] = z2 - z1;
    to[3 * stride + c] = z1 - z3;
  }
}

/** The four points of a tile of dy. */
static inline void write_slope(const float *z, long C, long n, float *restrict to, long stride) {
  for (long c = 0; c < n; c++) {
    to[c] = z[c];
    to[stride + c] = z[c] + z[C + c];
    to[2 * stride + c] = z[c] - z[C + c];
    to[3 * stride + c] = -z[C + c];
  }
}

void transform_tiles(const Map *map, Transform transform, long first, long count, int pair, Layout layout, float *columns) {
  const long C = map->C, before = transform == NEIGHBOURHOOD;
  float *last = columns, *next = columns + 2 * C;
  Rows rows;
  for (long i = 0; i < count; i++) {
    const Tile tile = tile_at(map, first + i);
    if (i == 0 || tile.w == 0) {
      rows = rows_of(map, transform, tile, pair);
      if (before) sum_columns(map, &rows, tile.w - 1, next);
    }
    // A neighbourhood shares two columns with the one before it.
    float *const swapped = last;
    last = next;
    next = swapped;
    sum_columns(map, &rows, tile.w + before, next);
    for (long c = 0; c < C; c += layout.width) {
      const long n = min_long(layout.width, C - c);
      float *to = layout.to + c / layout.width * layout.block + i * layout.width;
      if (transform == NEIGHBOURHOOD) write_neighbourhood(last + c, next + c, C, n, to, layout.point);
      else write_slope(next + c, C, n, to, layout.point);
    }
  }
}

/** Multiplies [outer, 3, inner] by G along the middle axis. */
static void multiply_by_g(const float *from, float *restrict to, long outer, long inner) {
  for (long o = 0; o < outer; o++, from += 3 * inner, to += 4 * inner)
    for (long i = 0; i < inner; i++) {
      const float ends = 0.5f * (from[i] + from[2 * inner + i]), middle = 0.5f * from[inner + i];
      to[i] = from[i];
      to[inner + i] = ends + middle;
      to[2 * inner + i] = ends - middle;
      to[3 * inner + i] = from[2 * inner + i];
    }
}

/** Multiplies [outer, 4, inner] by the transpose of G along the middle axis. */
static void multiply_by_gt(const float *from, float *restrict to, long outer, long inner) {
  for (long o = 0; o < outer; o++, from += 4 * inner, to += 3 * inner)
    for (long i = 0; i < inner; i++) {
      const float a = 0.5f * from[inner + i], b = 0.5f * from[2 * inner + i];
      to[i] = from[i] + (a + b);
      to[inner + i] = a - b;
      to[2 * inner + i] = (a + b) + from[3 * inner + i];
    }
}

void transform_kernel(int depth, const float *taps, float *points) {
  float once[36 * NR], twice[48 * NR];
  multiply_by_g(taps, once, 3 * depth, NR);
  if (depth == 1) {
    multiply_by_g(once, points, 1, 4 * NR);
    return;
  }
  multiply_by_g(once, twice, 3, 4 * NR);
  multiply_by_g(twice, points, 1, 16 * NR);
}

void restore_kernel(int depth, const float *points, float *taps) {
  float once[48 * NR], twice[36 * NR];
  multiply_by_gt(points, once, depth == 1 ? 4 : 16, NR);
  if (depth == 1) {
    multiply_by_gt(once, taps, 1, 3 * NR);
    return;
  }
  multiply_by_gt(once, twice, 4, 3 * NR);
  multiply_by_gt(twice, taps, 1, 9 * NR);
}
