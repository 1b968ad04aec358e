/**
 * @file Convolution 3×3×3 with padding 1 of maps [B, T, H, W, C], and its gradients, as plans of cuDNN or as products with a
 * matrix of the neighbourhoods of all positions.
 *
 * Letters: P = B·T·H·W positions, I and O channels in and out, 27 taps of the kernel. The columns of neighbourhoods are ordered
 * by tap and then by channel.
 */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import { coordinatesOf } from '../ir/coordinates.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { ELEMENT_BYTES } from '../storage.js';
import { plannedConvolution } from './conv_plan.js';
import { fusedKernel } from './fused_kernel.js';
import { matmul, productStep } from './gemm.js';
import { join } from './join.js';
import type { Policy } from './lowering.js';
import { type FloatStorage, operandStorage } from './precision.js';

const TAPS = 27;
/** Bytes of the neighbourhoods that exist at a time, by default. */
const MAX_BYTES = 2 ** 28;

const positionsOf = (map: { shape: readonly number[] }) => map.shape.slice(0, 4);

/** Storage of the operands of a convolution. */
function storageOf(policy: Policy, map: View, weight: { shape: readonly number[] }): FloatStorage {
  return operandStorage(policy, sizeOf(positionsOf(map)) * sizeOf(weight.shape));
}

/** Neighbouring positions that are computed together. */
interface Positions {
  readonly first: number;
  readonly count: number;
}

/** Splits the positions so that the neighbourhoods take `maxBytes`. */
function chunksOf({ shape }: View, storage: FloatStorage, maxBytes: number): Positions[] {
  const P = sizeOf(shape.slice(0, 4));
  const count = Math.max(1, Math.floor(maxBytes / (TAPS * shape[4] * ELEMENT_BYTES[storage])));
  return Array.from({ length: Math.ceil(P / count) }, (_, chunk) => {
    const first = chunk * count;
    return { first, count: Math.min(count, P - first) };
  });
}

/** The neighbourhoods of some positions, [count, 27·C], zero outside of the map. */
function neighbourhoods(b: Builder, map: View, { first, count }: Positions, storage: FloatStorage): View {
  const [, ...extents] = positionsOf(map);
  const C = map.shape[4];
  return b.map({ ...floats([count, TAPS * C]), storage }, (i) => {
    const position = i.div(TAPS * C).add(first);
    const taps = coordinatesOf(i.div(C).mod(TAPS), [3, 3, 3]);
    const places = coordinatesOf(position, positionsOf(map)).slice(1);
    const moved = places.map((place, axis) => place.add(taps[axis]).sub(1));
    const isInside = moved
      .map((place, axis) => place.ge(0).and(place.lt(extents[axis])))
      .reduce((all, inside) => all.and(inside));
    // The distance of the neighbour from the position, in positions.
    const [t, h, w] = taps.map((tap) => tap.sub(1));
    const distance = t.mul(extents[1]).add(h).mul(extents[2]).add(w);
    const element = position.add(distance).mul(C).add(i.mod(C));
    return isInside.select(b.load(map, isInside.select(element, 0)), 0);
  });
}

/** Where an element of a weight [O, I, 3, 3, 3] lies. */
type WeightElement = (i: Expr) => { readonly o: Expr; readonly i: Expr; readonly tap: Expr };

/** The weight [O, I, 3, 3, 3] as a matrix. */
function weightMatrix(
  b: Builder,
  weight: View,
  { shape, storage, element }: { shape: number[]; storage: FloatStorage; element: WeightElement },
): View {
  const I = weight.shape[1];
  return b.map({ ...floats(shape), storage }, (index) => {
    const { o, i, tap } = element(index);
    return b.load(weight, o.mul(I).add(i).mul(TAPS).add(tap));
  });
}

/** [O, 27·I], in the order of neighbourhoods. */
function forwardMatrix(b: Builder, weight: View, storage: FloatStorage): View {
  const [O, I] = weight.shape;
  return weightMatrix(b, weight, {
    shape: [O, TAPS * I],
    storage,
    element: (e) => ({ o: e.div(TAPS * I), tap: e.div(I).mod(TAPS), i: e.mod(I) }),
  });
}

/** [I, 27·O] of the mirrored kernel, for the gradient of the input. */
function mirroredMatrix(b: Builder, weight: View, storage: FloatStorage): View {
  const [O, I] = weight.shape;
  return weightMatrix(b, weight, {
    shape: [I, TAPS * O],
    storage,
    element: (e) => ({
      i: e.div(TAPS * O),
      tap: b.int(TAPS - 1).sub(e.div(O).mod(TAPS)),
      o: e.mod(O),
    }),
  });
}

/** How a convolution is computed. */
interface Options {
  readonly policy: Policy;
  readonly maxBytes: number;
}

/** The product of the neighbourhoods of a map with a matrix [channels, 27·C], transposed: [B, T, H, W, channels]. */
function convolve(b: Builder, map: View, matrix: View, { policy, maxBytes }: Options): View {
  const storage = matrix.tensor.storage as FloatStorage;
  const parts = chunksOf(map, storage, maxBytes).map((chunk) => {
    const a = neighbourhoods(b, map, chunk, storage);
    return matmul(b, policy, { a, b: matrix, transposeB: true, storage });
  });
  return join(b, parts, floats([...positionsOf(map), matrix.shape[0]]));
}

/** The sum over positions of the products of dy [P, O] and the neighbourhoods of x: [O, 27·I] in parts to be added. */
function filterGradients(
  b: Builder,
  { x, dy }: Record<'x' | 'dy', View>,
  { policy, maxBytes }: Options,
): View[] {
  const [O, I] = [dy.shape[4], x.shape[4]];
  const storage = storageOf(policy, x, { shape: [O, I, TAPS] });
  const slopes = b.stored(dy, storage);
  return chunksOf(x, storage, maxBytes).map((chunk) => {
    const step = productStep(policy, {
      M: O,
      N: TAPS * I,
      K: chunk.count,
      a: { view: slopes, offset: chunk.first * O, stride: O, isTransposed: true },
      b: { view: neighbourhoods(b, x, chunk, storage), stride: TAPS * I },
      c: { result: 0, stride: TAPS * I, storage: 'float32' },
    });
    return b.call([floats([O, TAPS * I])], [step])[0];
  });
}

function convolution(maxBytes: number) {
  return fusedKernel('Conv3x3x3', {
    results: ({ x, weight }) => [floats([...positionsOf(x), weight.shape[0]])],
    lower: (b, { x, weight }, _, policy) => {
      const storage = storageOf(policy, x, weight);
      const planned = plannedConvolution(b, policy, { pass: 'forward', storage, x, weight });
      if (planned) return [planned];
      const matrix = forwardMatrix(b, weight, storage);
      return [convolve(b, x, matrix, { policy, maxBytes })];
    },
  });
}

/** The convolution of dy with the mirrored kernel. */
function inputGradient(maxBytes: number) {
  return fusedKernel('Conv3x3x3GradInput', {
    results: ({ dy, weight }) => [floats([...positionsOf(dy), weight.shape[1]])],
    lower: (b, { dy, weight }, _, policy) => {
      const storage = storageOf(policy, dy, weight);
      const planned = plannedConvolution(b, policy, { pass: 'data', storage, y: dy, weight });
      if (planned) return [planned];
      const matrix = mirroredMatrix(b, weight, storage);
      return [convolve(b, dy, matrix, { policy, maxBytes })];
    },
  });
}

function filterGradient(maxBytes: number) {
  return fusedKernel('Conv3x3x3GradFilter', {
    results: ({ x, dy }) => [floats([dy.shape[4], x.shape[4], 3, 3, 3])],
    lower: (b, { x, dy }, _, policy) => {
      const [O, I] = [dy.shape[4], x.shape[4]];
      const storage = storageOf(policy, x, { shape: [O, I, TAPS] });
      const planned = plannedConvolution(b, policy, { pass: 'filter', storage, x, y: dy });
      // Gradients of weights are added up in float32.
      if (planned) return [b.stored(planned, 'float32')];
      const parts = filterGradients(b, { x, dy }, { policy, maxBytes });
      const dweight = b.map(floats([O, I, 3, 3, 3]), (e) => {
        const [o, i, tap] = [e.div(TAPS * I), e.div(TAPS).mod(I), e.mod(TAPS)];
        const element = o.mul(TAPS).add(tap).mul(I).add(i);
        return parts.map((part) => b.load(part, element)).reduce((sum, part) => sum.add(part));
      });
      return [dweight];
    },
  });
}

/** Makes the kernels of the convolution and its gradients. */
export function convKernels(maxBytes = MAX_BYTES) {
  return {
    conv: convolution(maxBytes),
    gradInput: inputGradient(maxBytes),
    gradFilter: filterGradient(maxBytes),
  };
}

export const { conv, gradInput: convGradInput, gradFilter: convGradFilter } = convKernels();
