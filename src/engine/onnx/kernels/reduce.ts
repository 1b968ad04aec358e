/** @file Kernels that reduce axes, and softmax along the last one. */
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import type { GraphBuilder } from '../graph_builder.js';
import { dtypeOf, type Kernel } from '../kernel.js';

interface ReduceAttributes {
  axes: number[];
}

type ReduceLowering = (g: GraphBuilder, x: string, axes: string, dtype: LazyDtype) => string;

const reduce = (g: GraphBuilder, op: string, x: string, axes: string): string =>
  g.op(op, [x, axes], { keepdims: 1, noop_with_empty_axes: 1 });

/** A kernel {x}, {axis, keepDims} → y. `lower` keeps the reduced axes, which the result loses without keepDims. */
function reduction(name: string, lower: ReduceLowering, result?: LazyDtype): Kernel {
  return {
    name,
    record: ({ x }, { axis, reductionIndices, keepDims }) => {
      const axes = tf.util.parseAxisParam((axis ?? reductionIndices) as number | number[], x.shape);
      const shape = keepDims ? keptShape(x.shape, axes) : x.shape.filter((_, i) => !axes.includes(i));
      return { inputs: [x], attributes: { axes }, outputs: [{ shape, dtype: result ?? dtypeOf(x) }] };
    },
    lower: (g, [x], { attributes, outputs: [{ shape }] }) => {
      const { axes } = attributes as ReduceAttributes;
      const y = lower(g, x.name, g.ints(axes), x.dtype);
      return keptShape(x.shape, axes).length === shape.length ? y : g.reshape(y, shape);
    },
  };
}

/** Sum over the rows of [N, C] as a product with ones, which is three times as fast as ReduceSum. Returns [C]. */
export function sumOfRows(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  const ones = g.op('Expand', [g.scalar(1), g.ints([1, N])]);
  return g.reshape(g.op('MatMul', [ones, x]), [C]);
}

function keptShape(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

/** The maximum, or NaN if any element is NaN, which ONNX leaves open. */
const max = reduction('Max', (g, x, axes, dtype) => {
  if (dtype === 'bool') return g.cast(reduce(g, 'ReduceMax', g.cast(x, 'int32'), axes), 'bool');
  const largest = reduce(g, 'ReduceMax', x, axes);
  if (dtype !== 'float32') return largest;
  const hasNaN = reduce(g, 'ReduceMax', g.cast(g.op('IsNaN', [x]), 'int32'), axes);
  return g.op('Where', [g.cast(hasNaN, 'bool'), g.scalar(Number.NaN), largest]);
});

/** Index of the first maximum along an axis; NaN never counts. */
const argMax: Kernel = {
  name: 'ArgMax',
  record: ({ x }, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
    const shape = x.shape.filter((_, i) => i !== axis);
    return { inputs: [x], attributes: { axis }, outputs: [{ shape, dtype: 'int32' }] };
  },
  lower: (g, [{ name, dtype }], { attributes }) => {
    const { axis } = attributes as { axis: number };
    const numbers =
      dtype === 'float32'
        ? g.op('Where', [g.op('IsNaN', [name]), g.scalar(Number.NEGATIVE_INFINITY), name])
        : g.cast(name, 'int32');
    return g.cast(g.op('ArgMax', [numbers], { axis, keepdims: 0 }), 'int32');
  },
};

export const softmax: Kernel = {
  name: 'Softmax',
  record: ({ logits }, { dim }) => {
    const [axis] = tf.util.parseAxisParam(dim as number, logits.shape);
    tf.util.assert(axis === logits.shape.length - 1, () => 'Softmax works along the last axis only');
    return { inputs: [logits], outputs: [{ shape: logits.shape, dtype: 'float32' }] };
  },
  lower: (g, [logits]) => g.op('Softmax', [logits.name], { axis: -1 }),
};

export const reduceKernels: Kernel[] = [
  reduction('Sum', (g, x, axes) => reduce(g, 'ReduceSum', x, axes)),
  reduction(
    'Mean',
    (g, x, axes, dtype) => reduce(g, 'ReduceMean', dtype === 'float32' ? x : g.cast(x, 'float32'), axes),
    'float32',
  ),
  max,
  argMax,
  softmax,
];
