/** @file The lowerings of the kernels that reduce axes, and of softmax along the last one. */
import type { LazyDtype } from '../../lazy/value.js';
import {
  type ArgMaxAttributes,
  keptShape,
  type ReduceAttributes,
  reduceKernels as recorded,
} from '../../record/kernels/reduce.js';
import type { GraphBuilder } from '../graph_builder.js';
import { type Lowering, lowered } from '../kernel.js';

type ReduceLowering = (g: GraphBuilder, x: string, axes: string, dtype: LazyDtype) => string;

const reduce = (g: GraphBuilder, op: string, x: string, axes: string): string =>
  g.op(op, [x, axes], { keepdims: 1, noop_with_empty_axes: 1 });

/** `lower` keeps the reduced axes, which the result may have lost. */
function reduction(lower: ReduceLowering): Lowering {
  return (g, [x], { attributes, outputs: [{ shape }] }) => {
    const { axes } = attributes as ReduceAttributes;
    const y = lower(g, x.name, g.ints(axes), x.dtype);
    return keptShape(x.shape, axes).length === shape.length ? y : g.reshape(y, shape);
  };
}

/** Sums that are computed at a time: enough to keep a GPU busy. */
const MAX_SUMS = 2 ** 14;

/**
 * Sum over the rows of [N, C] as products with ones, which is three times as fast as ReduceSum. The sums of runs of rows come
 * first: they keep more digits, threads share them, and on a GPU each has a work group of its own. Returns [C].
 */
export function sumOfRows(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  const runs = largestDivisor(N, Math.floor(Math.min(MAX_SUMS / C, Math.sqrt(N))));
  const onesOf = (count: number) => g.op('Expand', [g.scalar(1), g.ints([1, 1, count])]);
  const ofRuns = g.op('MatMul', [onesOf(N / runs), g.view(x, [runs, N / runs, C])]);
  const sum = runs === 1 ? ofRuns : g.op('MatMul', [onesOf(runs), g.reshape(ofRuns, [1, runs, C])]);
  return g.reshape(sum, [C]);
}

/** The largest divisor of n up to `limit`; 1 if there is none. */
function largestDivisor(n: number, limit: number): number {
  for (let divisor = limit; divisor > 1; divisor--) if (n % divisor === 0) return divisor;
  return 1;
}

/** The maximum, or NaN if any element is NaN, which ONNX leaves open. */
const max = reduction((g, x, axes, dtype) => {
  if (dtype === 'bool') return g.cast(reduce(g, 'ReduceMax', g.cast(x, 'int32'), axes), 'bool');
  const largest = reduce(g, 'ReduceMax', x, axes);
  if (dtype !== 'float32') return largest;
  const hasNaN = reduce(g, 'ReduceMax', g.cast(g.op('IsNaN', [x]), 'int32'), axes);
  return g.op('Where', [g.cast(hasNaN, 'bool'), g.scalar(Number.NaN), largest]);
});

const argMax: Lowering = (g, [{ name, dtype }], { attributes }) => {
  const { axis } = attributes as ArgMaxAttributes;
  const numbers =
    dtype === 'float32'
      ? g.op('Where', [g.op('IsNaN', [name]), g.scalar(Number.NEGATIVE_INFINITY), name])
      : g.cast(name, 'int32');
  return g.cast(g.op('ArgMax', [numbers], { axis, keepdims: 0 }), 'int32');
};

const softmax: Lowering = (g, [logits]) => g.op('Softmax', [logits.name], { axis: -1 });

export const reduceKernels = lowered(recorded, {
  Sum: reduction((g, x, axes) => reduce(g, 'ReduceSum', x, axes)),
  Mean: reduction((g, x, axes, dtype) =>
    reduce(g, 'ReduceMean', dtype === 'float32' ? x : g.cast(x, 'float32'), axes),
  ),
  Max: max,
  ArgMax: argMax,
  Softmax: softmax,
});
