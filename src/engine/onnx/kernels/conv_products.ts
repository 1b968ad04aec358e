/**
 * @file Convolution of maps [B, T, H, W, C] with any kernel, stride and padding, and its gradients, as products of gathered
 * neighbourhoods with the weight.
 *
 * A neighbourhood has the channels of `taps` positions, ordered by tap and then by channel. It is gathered from the padded map,
 * seen as a table of positions. A kernel of one tap with stride 1 needs none: the map itself is the matrix. Winograd's filtering
 * (winograd.ts) computes 3×3×3 with padding 1.
 */
import { sizeOf } from '../../../formats/host_tensor.js';
import { type ConvAttributes, countWindows, type Size3, type Windows } from '../../kernel_contract.js';
import { floats, type KernelResult } from '../../record/kernel.js';
import type { GraphBuilder } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { channelsFirst, channelsLast, moved } from './conv3d.js';
import type { FeatureMap } from './feature_map.js';
import { type Matrix, multiply, multiplyTransposed, type ProductOptions } from './products.js';
import { splitEvenly } from './tiling.js';
import {
  suitsWinograd,
  type TileCounts,
  winogradConvolution,
  winogradFilterGradient,
  winogradInputGradient,
} from './winograd.js';

type Shaped = Pick<FeatureMap, 'shape'>;

/** Windows of a map along the axes T, H, W. */
interface PlacedWindows {
  readonly kernel: Size3;
  readonly stride: Size3;
  /** Zeros before each axis; positions that are left out if it is negative. */
  readonly before: Size3;
  /** Number of windows along each axis. */
  readonly count: Size3;
}

/** Neighbourhoods of some neighbouring windows: a matrix [windows, taps·C]. */
interface Chunk extends Matrix {
  readonly count: number;
}

/** Returns how many neighbourhoods of so many floats are computed at a time. */
export type ChunkSize = (floats: number) => number;

/**
 * Input channels from which on products are faster than ONNX's convolution, because each row that is gathered is longer: in the
 * forward pass, and for the gradient of the weight.
 */
const MIN_CHANNELS = { forward: 16, filter: 8 };

const AXES = [0, 1, 2] as const;
const triple = (of: (axis: 0 | 1 | 2) => number) => AXES.map(of) as unknown as Size3;

function windowsOf({ shape }: Shaped, kernel: Size3, { stride, padding }: ConvAttributes): PlacedWindows {
  return { kernel, stride, before: padding, count: countWindows(shape, { kernel, stride, padding }) };
}

const kernelOf = ({ shape }: Shaped) => shape.slice(2) as unknown as Size3;

/** The map with zeros around it as a table of positions [positions, C], and its extents. */
function paddedTable(
  g: GraphBuilder,
  { name, shape }: FeatureMap,
  { kernel, stride, before, count }: PlacedWindows,
): { table: string; extents: Size3 } {
  const after = triple((i) => (count[i] - 1) * stride[i] + kernel[i] - before[i] - shape[i + 1]);
  const padded = AXES.some((i) => before[i] !== 0 || after[i] > 0);
  const behind = after.map((missing) => Math.max(0, missing));
  const map = padded ? g.op('Pad', [name, g.ints([0, ...before, 0, 0, ...behind, 0])]) : name;
  const extents = triple((i) => shape[i + 1] + (padded ? before[i] + behind[i] : 0));
  return { table: g.reshape(map, [shape[0] * sizeOf(extents), shape[4]]), extents };
}

/** All coordinates of a box. */
function coordinates([T, H, W]: Size3): Size3[] {
  const all: Size3[] = [];
  for (let t = 0; t < T; t++) for (let h = 0; h < H; h++) for (let w = 0; w < W; w++) all.push([t, h, w]);
  return all;
}

/** The neighbourhoods of all windows, some lines of them at a time. */
function neighbourhoods(
  g: GraphBuilder,
  map: FeatureMap,
  windows: PlacedWindows,
  chunkSize: ChunkSize,
): Chunk[] {
  const { kernel, stride, before, count } = windows;
  const [[B, ...own], C] = [map.shape.slice(0, 4), map.shape[4]];
  const [taps, total] = [sizeOf(kernel), B * sizeOf(count)];
  const isWhole = AXES.every((i) => stride[i] === 1 && before[i] === 0 && count[i] === own[i]);
  if (taps === 1 && isWhole) return [{ name: g.view(map.name, [total, C]), shape: [total, C], count: total }];
  const { table, extents } = paddedTable(g, map, windows);
  const row = ([t, h, w]: Size3) => (t * extents[1] + h) * extents[2] + w;
  const starts = (places: readonly Size3[]) => places.map((at) => row(triple((i) => at[i] * stride[i])));
  const offsets = coordinates(kernel).map(row);
  const [width, ofClip] = [count[2], starts(coordinates([count[0], count[1], 1]))];
  const lines = Array.from({ length: B }, (_, b) =>
    ofClip.map((start) => b * sizeOf(extents) + start),
  ).flat();
  const inLine = starts(coordinates([1, 1, width])).flatMap((start) =>
    offsets.map((offset) => start + offset),
  );
  const within = g.constant('int32', [1, width, taps], inLine);
  let next = 0;
  return splitEvenly(lines.length, chunkSize(taps * C) / width).map((length) => {
    const first = g.constant('int32', [length, 1, 1], lines.slice(next, next + length));
    next += length;
    const rows = g.op('Gather', [table, g.op('Add', [first, within])], { axis: 0 });
    const shape = [length * width, taps * C];
    return { name: g.reshape(rows, shape), shape, count: length * width };
  });
}

/** A result with C channels, which the graph computes as rows. */
function mapOf([B]: readonly number[], count: Size3, C: number): KernelResult {
  return floats([B * sizeOf(count), C], [B, ...count, C]);
}

/** The weight [O, I, t, h, w] as a matrix [taps·O, I], of these taps of the kernel. */
function gradientMatrix(g: GraphBuilder, { name, shape }: FeatureMap, taps: readonly number[]): Matrix {
  const [O, I, ...kernel] = shape;
  const all = sizeOf(kernel);
  let matrix = g.view(name, [O, I, all]);
  if (all > 1) matrix = g.op('Transpose', [matrix], { perm: [2, 0, 1] });
  const isAll = taps.length === all && taps.every((tap, i) => tap === i);
  if (!isAll) matrix = g.op('Gather', [matrix, g.constant('int32', [taps.length], taps)], { axis: 0 });
  const whole = [taps.length * O, I];
  return { name: g.reshape(matrix, whole), shape: whole };
}

/** The windows of a map times a matrix [taps·C, channels]: rows [windows, channels]. */
function convolve(
  g: GraphBuilder,
  chunks: readonly Chunk[],
  matrix: Matrix,
  options?: ProductOptions,
): string {
  return g.concat(
    chunks.map((chunk) => multiply(g, chunk, matrix, options)),
    0,
  );
}

/** Positions of the padded x: those at rest + stride·n along each axis, for `count` numbers n from `first` on. */
interface PositionClass {
  readonly rest: Size3;
  readonly first: Size3;
  readonly count: Size3;
  readonly stride: Size3;
}

/** The gradient at a class of positions: the same taps of the kernel meet each of them. */
function classGradient(
  g: GraphBuilder,
  { dy, weight }: Record<'dy' | 'weight', FeatureMap>,
  { rest, first, count, stride }: PositionClass,
  chunkSize: ChunkSize,
): string {
  const whole = kernelOf(weight);
  // Taps rest, rest + stride, …, the last of which comes first in dy.
  const kernel = triple((i) => Math.ceil((whole[i] - rest[i]) / stride[i]));
  const [B, I] = [dy.shape[0], weight.shape[1]];
  const shape = [B * sizeOf(count), I];
  if (kernel.some((taps) => taps <= 0)) return g.op('Expand', [g.scalar(0), g.ints(shape)]);
  const taps = coordinates(kernel).map((at) => {
    const [t, h, w] = triple((i) => rest[i] + stride[i] * (kernel[i] - 1 - at[i]));
    return (t * whole[1] + h) * whole[2] + w;
  });
  const before = triple((i) => kernel[i] - 1 - first[i]);
  const windows: PlacedWindows = { kernel, stride: [1, 1, 1], before, count };
  return convolve(g, neighbourhoods(g, dy, windows, chunkSize), gradientMatrix(g, weight, taps));
}

/** The gradient of x [B, T, H, W, I], by classes of positions. */
function inputGradient(
  g: GraphBuilder,
  maps: Record<'dy' | 'weight', FeatureMap>,
  { shape, stride, padding }: ConvAttributes & Shaped,
  chunkSize: ChunkSize,
): string {
  const [B, I, extents] = [shape[0], shape[4], triple((i) => shape[i + 1])];
  const first = triple((i) => Math.floor(padding[i] / stride[i]));
  const count = triple((i) => Math.ceil((extents[i] + padding[i]) / stride[i]) - first[i]);
  const classes = coordinates(stride).map((rest) =>
    classGradient(g, maps, { rest, first, count, stride }, chunkSize),
  );
  const whole = triple((i) => count[i] * stride[i]);
  const apart = g.reshape(g.concat(classes, 0), [...stride, B, ...count, I]);
  const together =
    classes.length > 1 ? g.op('Transpose', [apart], { perm: [3, 4, 0, 5, 1, 6, 2, 7] }) : apart;
  const padded = g.reshape(together, [B, ...whole, I]);
  const starts = triple((i) => padding[i] - first[i] * stride[i]);
  const ends = triple((i) => starts[i] + extents[i]);
  const isWhole = AXES.every((i) => extents[i] === whole[i]);
  const map = isWhole ? padded : g.op('Slice', [padded, g.ints(starts), g.ints(ends), g.ints([1, 2, 3])]);
  return g.reshape(map, [B * sizeOf(extents), I]);
}

/** The convolution as ONNX's of maps [B, C, T, H, W]. */
function convOfFew(
  g: GraphBuilder,
  { x, weight }: Record<'x' | 'weight', FeatureMap>,
  { stride, before }: PlacedWindows,
): string {
  const attributes = { strides: stride, pads: [...before, ...before] };
  return channelsLast(g, g.op('Conv', [channelsFirst(g, x.name), weight.name], attributes));
}

/** x convolved with dy as a kernel, where channels stand for the batch and strides are its dilations. */
function filterGradientOfFew(
  g: GraphBuilder,
  { x, dy }: Record<'x' | 'dy', FeatureMap>,
  { kernel, stride, padding }: Windows,
): string {
  const [channels, slopes] = [x, dy].map(({ name }) => moved(g, name, 4, 0, 1, 2, 3));
  const y = g.op('Conv', [channels, slopes], { dilations: stride, pads: [...padding, ...padding] });
  // If strides leave a remainder, dy fits in more positions than the kernel has.
  const dweight = g.op('Slice', [y, g.ints([0, 0, 0]), g.ints(kernel), g.ints([2, 3, 4])]);
  return moved(g, dweight, 1, 0, 2, 3, 4);
}

/** The sum over windows of dy times the neighbourhoods of x: [O, I, t, h, w]. */
function filterGradient(
  g: GraphBuilder,
  { x, dy }: Record<'x' | 'dy', FeatureMap>,
  { kernel, ...geometry }: Windows,
  chunkSize: ChunkSize,
): string {
  const [I, O, taps] = [x.shape[4], dy.shape[4], sizeOf(kernel)];
  if (I < MIN_CHANNELS.filter) return filterGradientOfFew(g, { x, dy }, { kernel, ...geometry });
  const chunks = neighbourhoods(g, x, windowsOf(x, kernel, geometry), chunkSize);
  const slopes = g.view(dy.name, [sizeOf(dy.shape.slice(0, 4)), O]);
  let next = 0;
  const products = chunks.map((chunk) => {
    const { count } = chunk;
    // A GPU cannot bind all pieces of a Split at a time.
    const part =
      chunks.length === 1
        ? slopes
        : g.op('Slice', [slopes, g.ints([next]), g.ints([next + count]), g.ints([0])]);
    next += count;
    return multiplyTransposed(g, { name: part, shape: [count, O] }, chunk);
  });
  const sum = products.reduce((total, product) => g.op('Add', [total, product]));
  if (taps === 1) return g.reshape(sum, [O, I, ...kernel]);
  const turned = g.op('Transpose', [g.reshape(sum, [O, taps, I])], { perm: [0, 2, 1] });
  return g.reshape(turned, [O, I, ...kernel]);
}

/** The neighbourhoods of x times the weight: rows [windows, O]. */
function products(
  g: GraphBuilder,
  { x, weight }: Record<'x' | 'weight', FeatureMap>,
  windows: PlacedWindows,
  chunkSize: ChunkSize,
): string {
  const [O, I, ...kernel] = weight.shape;
  const taps = sizeOf(kernel);
  const chunks = neighbourhoods(g, x, windows, chunkSize);
  if (taps === 1) {
    const matrix = { name: g.view(weight.name, [O, I]), shape: [O, I] };
    return convolve(g, chunks, matrix, { transB: true });
  }
  const turned = g.op('Transpose', [g.view(weight.name, [O, I, taps])], { perm: [2, 1, 0] });
  const shape = [taps * I, O];
  return convolve(g, chunks, { name: g.reshape(turned, shape), shape });
}

/** Rows [windows, O] of the convolution. */
function convolution(
  g: GraphBuilder,
  { x, weight }: Record<'x' | 'weight', FeatureMap>,
  geometry: ConvAttributes,
  { tiles, chunkSize }: Sizes,
): string {
  const kernel = kernelOf(weight);
  if (suitsWinograd(kernel, geometry)) return winogradConvolution(g, { x, weight }, tiles);
  const windows = windowsOf(x, kernel, geometry);
  if (weight.shape[1] >= MIN_CHANNELS.forward) return products(g, { x, weight }, windows, chunkSize);
  const rows = [x.shape[0] * sizeOf(windows.count), weight.shape[0]];
  return g.reshape(convOfFew(g, { x, weight }, windows), rows);
}

/** How much is computed at a time. */
interface Sizes {
  readonly tiles: TileCounts;
  readonly chunkSize: ChunkSize;
}

/** Makes the kernels of the convolution and its gradients. */
export function conv3dKernels({ tiles, chunkSize }: Sizes) {
  const conv = fusedKernel('Conv3d', {
    results: ({ x, weight }, attributes) => {
      const { count } = windowsOf(x, kernelOf(weight), attributes);
      return [mapOf(x.shape, count, weight.shape[0])];
    },
    lower: (g, { x, weight, bias, residual }, { relu, ...geometry }) => {
      let y = convolution(g, { x, weight }, geometry, { tiles, chunkSize });
      if (bias) y = g.op('Add', [y, bias.name]);
      if (residual) {
        const rows = [sizeOf(residual.shape.slice(0, 4)), weight.shape[0]];
        y = g.op('Add', [y, g.view(residual.name, rows)]);
      }
      return [relu ? g.op('Relu', [y]) : y];
    },
  });
  const gradInput = fusedKernel('Conv3dGradInput', {
    results: (_, { shape }) => [mapOf(shape, shape.slice(1, 4) as unknown as Size3, shape[4])],
    lower: (g, inputs, attributes) => [
      suitsWinograd(kernelOf(inputs.weight), attributes)
        ? winogradInputGradient(g, inputs, tiles)
        : inputGradient(g, inputs, attributes, chunkSize),
    ],
  });
  const gradFilter = fusedKernel('Conv3dGradFilter', {
    results: ({ x, dy }, { kernel }) => [floats([dy.shape[4], x.shape[4], ...kernel])],
    lower: (g, inputs, attributes) => [
      suitsWinograd(attributes.kernel, attributes)
        ? winogradFilterGradient(g, inputs, tiles)
        : filterGradient(g, inputs, attributes, chunkSize),
    ],
  });
  return { conv, gradInput, gradFilter };
}

/** Floats of the neighbourhoods that exist at a time on a CPU: enough for fast products, few enough to stay in the cache. */
const CPU_FLOATS = 2 ** 20;

export const {
  conv: conv3d,
  gradInput: conv3dGradInput,
  gradFilter: conv3dGradFilter,
} = conv3dKernels({
  chunkSize: (floats) => CPU_FLOATS / floats,
  // Measured likewise.
  tiles: { forward: () => 256, filter: () => 512 },
});
