/**
 * @file Convolution 3×3×3 with padding 1 of maps [B, T, H, W, C], and its gradients, as matrix products.
 *
 * Winograd's minimal filtering F(2, 3) along all three axes: a tile of 2×2×2 results comes from its 4×4×4 neighbourhood
 * with 64 multiplications for each pair of channels instead of 216. With one matrix per axis,
 * y = A·((G·w) ⊙ (B·x)), and the gradients are the same products read backwards (Lavin and Gray, 2015).
 * Letters: P = 64 points of a transformed tile, I and O channels in and out.
 */

import { sizeOf } from '../../../formats/host_tensor.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { Kernel, KernelResult } from '../kernel.js';
import { pieces } from './fused.js';

type Matrix = readonly (readonly number[])[];

/** Kronecker's product. */
function kronecker(a: Matrix, b: Matrix): Matrix {
  return a.flatMap((aRow) => b.map((bRow) => aRow.flatMap((x) => bRow.map((y) => x * y))));
}

const cubed = (m: Matrix) => kronecker(m, kronecker(m, m));

/** B, of a neighbourhood of x: [64, 64]. */
const OF_INPUT = cubed([
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
]);

/** G, of the weights: [64, 27]. */
const OF_WEIGHT = cubed([
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
]);

/** A, to a tile of y: [8, 64]. */
const TO_OUTPUT = cubed([
  [1, 1, 1, 0],
  [0, 1, -1, -1],
]);

const P = 64;
const KERNEL_POSITIONS = 27;

/** Tiles at a time, measured as best: enough for the products, and still in the cache. */
const FORWARD_TILES = 256;
const FILTER_TILES = 512;

const constantOf = (g: GraphBuilder, m: Matrix) => g.constant('float32', [m.length, m[0].length], m.flat());

/** Tiles of a map [B, T, H, W, …] along each axis but the first; the last ones may reach beyond it. */
const tilesOf = ([, T, H, W]: readonly number[]) => [T, H, W].map((extent) => Math.ceil(extent / 2));

/**
 * The neighbourhoods of side³ positions of all tiles, in pieces of at most `most` tiles: [side³, tiles·C], zero outside
 * the map. They begin at the tile where side is 2, and one position before it where side is 4.
 */
function neighbourhoods(
  g: GraphBuilder,
  x: string,
  shape: readonly number[],
  side: 2 | 4,
  most: number,
): { rows: string; count: number }[] {
  const [B, T, H, W, C] = shape;
  const [tileT, tileH, tileW] = tilesOf(shape);
  const before = (side - 2) / 2;
  const [paddedT, paddedH, paddedW] = [tileT, tileH, tileW].map((tiles) => 2 * tiles + 2 * before);
  const after = [paddedT - T, paddedH - H, paddedW - W].map((missing) => missing - before);
  const isWhole = before === 0 && after.every((missing) => missing === 0);
  const padded = isWhole ? x : g.op('Pad', [x, g.ints([0, before, before, before, 0, 0, ...after, 0])]);
  const table = g.reshape(padded, [B * paddedT * paddedH * paddedW, C]);
  /** Rows of the table between the first position and one at these distances. */
  const distance = (t: number, h: number, w: number) => (t * paddedH + h) * paddedW + w;
  const within: number[] = [];
  for (let t = 0; t < side; t++)
    for (let h = 0; h < side; h++) for (let w = 0; w < side; w++) within.push(distance(t, h, w));
  const firsts: number[] = [];
  for (let b = 0; b < B; b++)
    for (let t = 0; t < tileT; t++)
      for (let h = 0; h < tileH; h++)
        for (let w = 0; w < tileW; w++) firsts.push(distance(b * paddedT + 2 * t, 2 * h, 2 * w));
  const offsets = g.constant('int32', [within.length, 1], within);
  let next = 0;
  return pieces(firsts.length, most).map((count) => {
    const starts = g.constant('int32', [1, count], firsts.slice(next, next + count));
    next += count;
    const rows = g.op('Gather', [table, g.op('Add', [offsets, starts])], { axis: 0 });
    return { rows: g.reshape(rows, [within.length, count * C]), count };
  });
}

/** Of x with `channels` channels and transformed weights: their product for every piece of tiles, back as a map. */
function convolve(
  g: GraphBuilder,
  x: string,
  shape: readonly number[],
  channels: number,
  timesWeight: (tiles: string) => string,
): string {
  const [B, T, H, W, C] = shape;
  const [ofInput, toOutput] = [OF_INPUT, TO_OUTPUT].map((m) => constantOf(g, m));
  const parts = neighbourhoods(g, x, shape, 4, FORWARD_TILES).map(({ rows, count }) => {
    const tiles = g.reshape(g.op('MatMul', [ofInput, rows]), [P, count, C]);
    const products = g.reshape(timesWeight(tiles), [P, count * channels]);
    return g.reshape(g.op('MatMul', [toOutput, products]), [8, count, channels]);
  });
  const joined = g.concat(parts, 1);
  const [tileT, tileH, tileW] = tilesOf(shape);
  const apart = g.reshape(joined, [2, 2, 2, B, tileT, tileH, tileW, channels]);
  const together = g.op('Transpose', [apart], { perm: [3, 4, 0, 5, 1, 6, 2, 7] });
  const whole = g.reshape(together, [B, 2 * tileT, 2 * tileH, 2 * tileW, channels]);
  const isEven = [T, H, W].every((extent) => extent % 2 === 0);
  const map = isEven
    ? whole
    : g.op('Slice', [whole, g.ints([0, 0, 0]), g.ints([T, H, W]), g.ints([1, 2, 3])]);
  return g.reshape(map, [B * T * H * W, channels]);
}

/** A map with C channels, which the graph computes as rows. */
function mapOf(shape: readonly number[], C: number): KernelResult {
  const positions = shape.slice(0, 4);
  return { shape: [sizeOf(positions), C], view: [...positions, C], dtype: 'float32' };
}

/** {x, weight [O, I, 3, 3, 3]} → [B, T, H, W, O]. */
const conv: Kernel = {
  name: 'Conv3x3x3',
  record: ({ x, weight }) => ({
    inputs: [x, weight],
    outputs: [mapOf(x.shape, weight.shape[0])],
  }),
  lower: (g, [x, weight]) => {
    const [O, I] = weight.shape;
    const kernels = g.reshape(weight.name, [O * I, KERNEL_POSITIONS]);
    const transformed = g.contrib('FusedMatMul', [constantOf(g, OF_WEIGHT), kernels], { transB: 1 });
    const matrices = g.reshape(transformed, [P, O, I]);
    return convolve(g, x.name, x.shape, O, (tiles) =>
      g.contrib('FusedMatMul', [tiles, matrices], { transB: 1 }),
    );
  },
};

/** {dy, weight} → dx: the convolution of dy with the mirrored kernel. */
const convGradInput: Kernel = {
  name: 'Conv3x3x3GradInput',
  record: ({ dy, weight }) => ({
    inputs: [dy, weight],
    outputs: [mapOf(dy.shape, weight.shape[1])],
  }),
  lower: (g, [dy, weight]) => {
    const [O, I] = weight.shape;
    const kernels = g.reshape(weight.name, [O * I, KERNEL_POSITIONS]);
    const mirrored = constantOf(
      g,
      OF_WEIGHT.map((row) => [...row].reverse()),
    );
    const transformed = g.contrib('FusedMatMul', [mirrored, kernels], { transB: 1 });
    const matrices = g.reshape(transformed, [P, O, I]);
    return convolve(g, dy.name, dy.shape, I, (tiles) => g.op('MatMul', [tiles, matrices]));
  },
};

/** {x, dy} → dweight [O, I, 3, 3, 3]. */
const convGradFilter: Kernel = {
  name: 'Conv3x3x3GradFilter',
  record: ({ x, dy }) => ({
    inputs: [x, dy],
    outputs: [{ shape: [dy.shape[4], x.shape[4], 3, 3, 3], dtype: 'float32' }],
  }),
  lower: (g, [x, dy], { outputs: [{ shape }] }) => {
    const [O, I] = shape;
    const [ofInput, toOutput, ofWeight] = [OF_INPUT, TO_OUTPUT, OF_WEIGHT].map((m) => constantOf(g, m));
    const slopes = neighbourhoods(g, dy.name, dy.shape, 2, FILTER_TILES);
    const products = neighbourhoods(g, x.name, x.shape, 4, FILTER_TILES).map(({ rows, count }, i) => {
      const tiles = g.reshape(g.op('MatMul', [ofInput, rows]), [P, count, I]);
      const slope = g.contrib('FusedMatMul', [toOutput, slopes[i].rows], { transA: 1 });
      return g.contrib('FusedMatMul', [g.reshape(slope, [P, count, O]), tiles], { transA: 1 });
    });
    const sum = g.reshape(
      products.reduce((total, product) => g.op('Add', [total, product])),
      [P, O * I],
    );
    return g.reshape(g.contrib('FusedMatMul', [sum, ofWeight], { transA: 1 }), shape);
  },
};

export const convKernels: Kernel[] = [conv, convGradInput, convGradFilter];
