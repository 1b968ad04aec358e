/**
 * @file Convolution 3×3×3 with padding 1 of maps [B, T, H, W, C], and its gradients, as matrix products.
 *
 * Winograd's minimal filtering F(2, 3) along all three axes: a tile of 2×2×2 results comes from its 4×4×4 neighbourhood
 * with 64 multiplications for each pair of channels instead of 216. With one matrix per axis,
 * y = A·((G·w) ⊙ (B·x)); the gradients are the transposed products (Lavin and Gray, 2015).
 * Letters: P = 64 points of a transformed tile, I and O channels in and out.
 */
import type { ConvAttributes } from '../../kernel_contract.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { FeatureMap } from './feature_map.js';
import { splitEvenly } from './tiling.js';

type Matrix = readonly (readonly number[])[];

/** Kronecker's product. */
function kronecker(a: Matrix, b: Matrix): Matrix {
  return a.flatMap((aRow) => b.map((bRow) => aRow.flatMap((x) => bRow.map((y) => x * y))));
}

const cubed = (m: Matrix) => kronecker(m, kronecker(m, m));

/** B, applied to a neighbourhood of x: [64, 64]. */
const INPUT_TRANSFORM = cubed([
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
]);

/** G, applied to the weights: [64, 27]. */
const WEIGHT_TRANSFORM = cubed([
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
]);

/** A, which leads to a tile of y: [8, 64]. */
const OUTPUT_TRANSFORM = cubed([
  [1, 1, 1, 0],
  [0, 1, -1, -1],
]);

const P = 64;
const KERNEL_POSITIONS = 27;

/** Tiles computed at a time. */
export interface TileCounts {
  /** Of maps with `channels` channels, in the forward pass and for the gradient of the input. */
  forward(channels: number): number;
  /** For the gradient of the weight. */
  filter(channels: number): number;
}

const constantOf = (g: GraphBuilder, m: Matrix) => g.constant('float32', [m.length, m[0].length], m.flat());

/** Tiles of a map [B, T, H, W, …] along T, H and W; the last ones may reach beyond it. */
const tilesOf = ([, T, H, W]: readonly number[]) => [T, H, W].map((extent) => Math.ceil(extent / 2));

/** Numbers of the rows of a padded map, seen as a table of positions. */
interface TileRows {
  /** First position of each tile. */
  first: number[];
  /** Distance of each position of a neighbourhood from the first. */
  offset: number[];
}

/** Padding in front of the map: neighbourhoods of side 2 begin at their tile, those of side 4 one position before it. */
const paddingBefore = (side: 2 | 4) => (side - 2) / 2;

function tileRows([B, ...extents]: readonly number[], side: 2 | 4): TileRows {
  const [tileT, tileH, tileW] = tilesOf([B, ...extents]);
  const [paddedT, paddedH, paddedW] = [tileT, tileH, tileW].map((tiles) => 2 * (tiles + paddingBefore(side)));
  const row = (t: number, h: number, w: number) => (t * paddedH + h) * paddedW + w;
  const offset: number[] = [];
  for (let t = 0; t < side; t++)
    for (let h = 0; h < side; h++) for (let w = 0; w < side; w++) offset.push(row(t, h, w));
  const first: number[] = [];
  for (let b = 0; b < B; b++)
    for (let t = 0; t < tileT; t++)
      for (let h = 0; h < tileH; h++)
        for (let w = 0; w < tileW; w++) first.push(row(b * paddedT + 2 * t, 2 * h, 2 * w));
  return { first, offset };
}

/** The map, padded to whole neighbourhoods of all tiles, as a table of positions [positions, C]. */
function paddedTable(g: GraphBuilder, { name, shape }: FeatureMap, side: 2 | 4): string {
  const [B, T, H, W, C] = shape;
  const before = paddingBefore(side);
  const padded = tilesOf(shape).map((tiles) => 2 * (tiles + before));
  const after = [T, H, W].map((extent, i) => padded[i] - extent - before);
  const isWhole = before === 0 && after.every((missing) => missing === 0);
  const map = isWhole ? name : g.op('Pad', [name, g.ints([0, before, before, before, 0, 0, ...after, 0])]);
  return g.reshape(map, [B * padded[0] * padded[1] * padded[2], C]);
}

/**
 * The neighbourhoods of side³ positions of all tiles, in chunks of at most `maxTiles` tiles: [side³, tiles·C], zero
 * outside the map.
 */
function neighbourhoods(
  g: GraphBuilder,
  x: FeatureMap,
  side: 2 | 4,
  maxTiles: number,
): { rows: string; count: number }[] {
  const C = x.shape[4];
  const table = paddedTable(g, x, side);
  const { first, offset } = tileRows(x.shape, side);
  const offsets = g.constant('int32', [offset.length, 1], offset);
  let next = 0;
  return splitEvenly(first.length, maxTiles).map((count) => {
    const starts = g.constant('int32', [1, count], first.slice(next, next + count));
    next += count;
    const rows = g.op('Gather', [table, g.op('Add', [offsets, starts])], { axis: 0 });
    return { rows: g.reshape(rows, [offset.length, count * C]), count };
  });
}

/** Convolves x: `timesWeight` multiplies transformed tiles [P, tiles, C] with transformed weights to `channels` channels. */
function convolve(
  g: GraphBuilder,
  x: FeatureMap,
  { channels, tiles: { forward } }: { channels: number; tiles: TileCounts },
  timesWeight: (tiles: string) => string,
): string {
  const [B, T, H, W, C] = x.shape;
  const [toPoints, fromPoints] = [INPUT_TRANSFORM, OUTPUT_TRANSFORM].map((m) => constantOf(g, m));
  const chunks = neighbourhoods(g, x, 4, forward(Math.max(C, channels))).map(({ rows, count }) => {
    const tiles = g.reshape(g.op('MatMul', [toPoints, rows]), [P, count, C]);
    const products = g.reshape(timesWeight(tiles), [P, count * channels]);
    return g.reshape(g.op('MatMul', [fromPoints, products]), [8, count, channels]);
  });
  const [tileT, tileH, tileW] = tilesOf(x.shape);
  const apart = g.reshape(g.concat(chunks, 1), [2, 2, 2, B, tileT, tileH, tileW, channels]);
  const together = g.op('Transpose', [apart], { perm: [3, 4, 0, 5, 1, 6, 2, 7] });
  const whole = g.reshape(together, [B, 2 * tileT, 2 * tileH, 2 * tileW, channels]);
  const isEven = [T, H, W].every((extent) => extent % 2 === 0);
  const map = isEven
    ? whole
    : g.op('Slice', [whole, g.ints([0, 0, 0]), g.ints([T, H, W]), g.ints([1, 2, 3])]);
  return g.reshape(map, [B * T * H * W, channels]);
}

/** Weights [O, I, 3, 3, 3] after `transform`: [P, O, I]. */
function transformedWeight(g: GraphBuilder, weight: FeatureMap, transform: Matrix): string {
  const [O, I] = weight.shape;
  const kernels = g.reshape(weight.name, [O * I, KERNEL_POSITIONS]);
  return g.reshape(g.contrib('FusedMatMul', [constantOf(g, transform), kernels], { transB: 1 }), [P, O, I]);
}

/** Whether a convolution with this kernel is one that these functions compute. */
export function suitsWinograd(kernel: readonly number[], { stride, padding }: ConvAttributes): boolean {
  return kernel.every((extent) => extent === 3) && [...stride, ...padding].every((n) => n === 1);
}

/** The convolution of x with the weight: rows [positions, O]. */
export function winogradConvolution(
  g: GraphBuilder,
  { x, weight }: Record<'x' | 'weight', FeatureMap>,
  tiles: TileCounts,
): string {
  const matrices = transformedWeight(g, weight, WEIGHT_TRANSFORM);
  const timesWeight = (rows: string) => g.contrib('FusedMatMul', [rows, matrices], { transB: 1 });
  return convolve(g, x, { channels: weight.shape[0], tiles }, timesWeight);
}

/** The gradient of x, which is the convolution of dy with the mirrored kernel: rows [positions, I]. */
export function winogradInputGradient(
  g: GraphBuilder,
  { dy, weight }: Record<'dy' | 'weight', FeatureMap>,
  tiles: TileCounts,
): string {
  const mirrored = WEIGHT_TRANSFORM.map((row) => [...row].reverse());
  const matrices = transformedWeight(g, weight, mirrored);
  const timesWeight = (rows: string) => g.op('MatMul', [rows, matrices]);
  return convolve(g, dy, { channels: weight.shape[1], tiles }, timesWeight);
}

/** The gradient of the weight: [O, I, 3, 3, 3]. */
export function winogradFilterGradient(
  g: GraphBuilder,
  { x, dy }: Record<'x' | 'dy', FeatureMap>,
  tiles: TileCounts,
): string {
  const [O, I] = [dy.shape[4], x.shape[4]];
  const maxTiles = tiles.filter(Math.max(O, I));
  const [toPoints, fromPoints, toWeights] = [INPUT_TRANSFORM, OUTPUT_TRANSFORM, WEIGHT_TRANSFORM].map((m) =>
    constantOf(g, m),
  );
  const slopes = neighbourhoods(g, dy, 2, maxTiles);
  const products = neighbourhoods(g, x, 4, maxTiles).map(({ rows, count }, i) => {
    const points = g.reshape(g.op('MatMul', [toPoints, rows]), [P, count, I]);
    const slope = g.contrib('FusedMatMul', [fromPoints, slopes[i].rows], { transA: 1 });
    return g.contrib('FusedMatMul', [g.reshape(slope, [P, count, O]), points], { transA: 1 });
  });
  const sum = products.reduce((total, product) => g.op('Add', [total, product]));
  const flat = g.reshape(sum, [P, O * I]);
  return g.reshape(g.contrib('FusedMatMul', [flat, toWeights], { transA: 1 }), [O, I, 3, 3, 3]);
}
