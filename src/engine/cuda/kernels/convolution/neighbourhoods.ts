/**
 * @file The operands of convolutions that are products: matrices of the neighbourhoods of positions, and of the weight.
 *
 * A neighbourhood has `taps` positions with the channels of each: its columns are ordered by tap and then by channel.
 */
import { sizeOf } from '../../../../formats/host_tensor.js';
import { floats } from '../../../record/kernel.js';
import { type ConvolutionGeometry, outputSize } from '../../cudnn/convolution.js';
import type { Builder } from '../../ir/builder.js';
import { coordinatesOf, elementAt } from '../../ir/coordinates.js';
import type { View } from '../../ir/tensor.js';
import { ELEMENT_BYTES } from '../../storage.js';
import type { FloatStorage } from '../precision.js';
import { readBy, readFor } from './positions.js';

/** Neighbourhoods in `map`: of the positions of y in x [B, T, H, W, I], or of those of x in y [B, T', H', W', O]. */
export interface Neighbourhoods {
  readonly map: View;
  readonly of: 'x' | 'y';
  readonly geometry: ConvolutionGeometry;
}

/** Neighbouring positions that are computed together, and their neighbourhoods [count, taps·channels]. */
export interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly matrix: View;
}

export const tapsOf = ({ kernel }: ConvolutionGeometry): number => sizeOf(kernel);

/** Whether each neighbourhood is one position of a map without gaps. */
export function isPointwise({ kernel, stride, padding }: ConvolutionGeometry): boolean {
  return [...kernel, ...stride].every((n) => n === 1) && padding.every((n) => n === 0);
}

/** The neighbourhoods of all positions, in chunks that take `maxBytes`. Those of single positions are the map itself. */
export function chunksOf(
  b: Builder,
  given: Neighbourhoods,
  { storage, maxBytes }: { readonly storage: FloatStorage; readonly maxBytes: number },
): Chunk[] {
  const { map, of, geometry } = given;
  const P = geometry.B * sizeOf(of === 'x' ? outputSize(geometry) : geometry.size);
  const C = map.shape[4];
  if (isPointwise(geometry))
    return [{ first: 0, count: P, matrix: b.reshape(b.stored(map, storage), [P, C]) }];
  const rows = Math.max(1, Math.floor(maxBytes / (tapsOf(geometry) * C * ELEMENT_BYTES[storage])));
  return Array.from({ length: Math.ceil(P / rows) }, (_, chunk) => {
    const first = chunk * rows;
    const count = Math.min(rows, P - first);
    return { first, count, matrix: matrixOf(b, given, { first, count, storage }) };
  });
}

/** Elements outside of the map are 0. */
function matrixOf(
  b: Builder,
  { map, of, geometry }: Neighbourhoods,
  {
    first,
    count,
    storage,
  }: { readonly first: number; readonly count: number; readonly storage: FloatStorage },
): View {
  const [taps, C] = [tapsOf(geometry), map.shape[4]];
  const [extents, own] =
    of === 'x' ? [geometry.size, outputSize(geometry)] : [outputSize(geometry), geometry.size];
  return b.map({ ...floats([count, taps * C]), storage }, (i) => {
    const [batch, ...at] = coordinatesOf(i.div(taps * C).add(first), [geometry.B, ...own]);
    const tap = coordinatesOf(i.div(C).mod(taps), geometry.kernel);
    const { position, isInside } = (of === 'x' ? readBy : readFor)(at, tap, extents, geometry);
    const element = elementAt([batch, ...position, i.mod(C)], map.shape, b.int(0));
    return isInside.select(b.load(map, element.guarded(isInside, map.tensor.size)), 0);
  });
}

/** The weight [O, I, t, h, w] as a matrix whose rows or columns are those of neighbourhoods in x or in y. */
export function weightMatrix(b: Builder, weight: View, of: 'x' | 'y', storage: FloatStorage): View {
  const [O, I, ...kernel] = weight.shape;
  const taps = sizeOf(kernel);
  const shape = of === 'x' ? [O, taps * I] : [taps * O, I];
  if (taps === 1) return b.reshape(b.stored(weight, storage), shape);
  return b.map({ ...floats(shape), storage }, (e) => {
    const [row, column] = coordinatesOf(e, shape);
    const [o, i, tap] = of === 'x' ? [row, column.mod(I), column.div(I)] : [row.mod(O), column, row.div(O)];
    return b.load(weight, o.mul(I).add(i).mul(taps).add(tap));
  });
}
