/**
 * @file Parts of the convolutions 3×3×3 with padding 1 of maps [B, T, H, W, C].
 *
 * Winograd's minimal filtering F(2, 3) along all three axes: a tile of 2×2×2 results comes from its 4×4×4 neighbourhood with
 * 64 multiplications for each pair of channels instead of 216. With one matrix per axis, y = A·((G·w) ⊙ (B·x)); the gradients
 * are the transposed products (Lavin and Gray, 2015). The transformed tile has 64 points (f, g, h), four along each of the axes
 * T, H and W. The four points of one pair (f, g) are computed at a time, so that what a task needs stays in the second cache.
 */
#pragma once
#include "gemm.h"

/** Points of a transformed tile. */
#define POINTS 64
/** Points along one axis. */
#define ROW 4
/** Pairs (f, g). */
#define PAIRS 16
/** Positions of the kernel. */
#define TAPS 27

/** A map and the number of its tiles along each axis; the last ones may reach beyond it. */
typedef struct {
  const float *data;
  long B, T, H, W, C;
  long tiles_t, tiles_h, tiles_w;
} Map;

/** A map whose extents B, T, H and W are at `extents`. */
Map map_of(const float *data, const int64_t *extents, long C);
long count_tiles(const Map *map);

/** The first position of a tile. */
typedef struct {
  long b, t, h, w;
} Tile;
Tile tile_at(const Map *map, long index);

/** How tiles are transformed: B for neighbourhoods of x, and the transpose of A for tiles of dy. */
typedef enum { NEIGHBOURHOOD, SLOPE } Transform;

/** Where points of tiles are: point h of tile i and channel c is at to[h * point + c / width * block + i * width + c % width]. */
typedef struct {
  float *to;
  long point, block, width;
} Layout;

/** Floats that `transform_tiles` needs for a map with C channels. */
static inline size_t columns_size(long C) { return (size_t)(4 * C); }
/** Computes the points (f, g, ·) of `count` tiles for all channels. `columns` is memory for columns of tiles. */
void transform_tiles(const Map *map, Transform transform, long first, long count, int pair, Layout layout, float *columns);

/** Transforms the kernels of NR pairs of channels: taps [27, NR] to points [64, NR]. */
void transform_kernel(const float *taps, float *points);
/** The transposed product: points [64, NR] to taps [27, NR]. */
void restore_kernel(const float *points, float *taps);
