/**
 * @file Convolutions 3×3×3 with padding 1, and 1×3×3 with padding 1 along H and W, of maps [B, T, H, W, C].
 *
 * Winograd's minimal filtering F(2, 3) along all three axes: a tile of 2×2×2 results comes from its 4×4×4 neighbourhood with
 * 64 multiplications for each pair of channels instead of 216. With one matrix per axis, y = A·((G·w) ⊙ (B·x)); the gradients
 * are the transposed products (Lavin and Gray, 2015). The transformed tile has 64 points (f, g, h), four along each of the axes
 * T, H and W. The four points of one pair (f, g) are computed at a time, so that what a task needs stays in the second cache.
 * With kernels 1×3×3, a tile has 1×2×2 results, and 16 points (0, g, h) instead of 36 multiplications.
 */
#pragma once
#include "gemm.h"

/** Points along one axis. */
#define ROW 4
/** Most points of a transformed tile, and positions of the kernel. */
#define MAX_POINTS 64
#define MAX_TAPS 27

/** A map and the number of its tiles along each axis; the last ones may reach beyond it. */
typedef struct {
  const float *data;
  long B, T, H, W, C;
  /** Floats from one position to the next one: C, or more if the map is a part of the channels of another one. */
  long position;
  long tiles_t, tiles_h, tiles_w;
  /** Extent of the kernel along T: 1 or 3. */
  int depth;
} Map;

/** A map whose extents B, T, H and W are at `extents`, for kernels of the given depth. */
Map map_of(const float *data, const int64_t *extents, long C, int depth);

/** Pairs (f, g) of a tile, its points, and the positions of the kernel. */
static inline int pairs_of(const Map *map) { return map->depth == 1 ? ROW : ROW * ROW; }
static inline int points_of(const Map *map) { return pairs_of(map) * ROW; }
static inline int taps_of(const Map *map) { return map->depth * 9; }
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

/** Transforms the kernels of NR pairs of channels: taps [27, NR] to points [64, NR], or 9 to 16 for depth 1. */
void transform_kernel(int depth, const float *taps, float *points);
/** The transposed product: points to taps. */
void restore_kernel(int depth, const float *points, float *taps);

/** A convolution of a map. */
typedef struct {
  Map from;
  /** Weights [O, I, taps]: distances of a channel of the sum and of one of the result, and the order of the taps. */
  const float *weight;
  long sum_stride, result_stride;
  int mirrored;
  /** The result and its channels. */
  float *to;
  long channels;
  /** Added to the result, if there are any; then negative numbers become 0, if wanted. */
  const float *bias, *residual;
  int relu;
} WinogradConvolution;

/** Computes a convolution with kernels of the depth of the map. Returns null, or why it failed. */
const char *winograd_convolve(const Call *call, const WinogradConvolution *convolution);
/** Computes the gradient dweight [O, I, taps] for x with channels I and dy with channels O. */
const char *winograd_grad_filter(const Call *call, Map x, Map dy, float *dweight);
