/** @file Kernels that reduce axes, and softmax along the last one. */
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import { dtypeOf, named, type Recording } from '../kernel.js';

export interface ReduceAttributes {
  axes: number[];
}

export interface ArgMaxAttributes {
  axis: number;
}

/** {x}, {axis, keepDims} → y, which has x's type unless `result` gives another. */
function reduction(result?: LazyDtype): Recording {
  return {
    record: ({ x }, { axis, reductionIndices, keepDims }) => {
      const axes = tf.util.parseAxisParam((axis ?? reductionIndices) as number | number[], x.shape);
      const shape = keepDims ? keptShape(x.shape, axes) : x.shape.filter((_, i) => !axes.includes(i));
      return { inputs: [x], attributes: { axes }, outputs: [{ shape, dtype: result ?? dtypeOf(x) }] };
    },
  };
}

/** A shape with 1 in place of the reduced axes. */
export function keptShape(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

/** Index of the first maximum along an axis; NaN never counts. */
const argMax: Recording = {
  record: ({ x }, attrs) => {
    const [axis] = tf.util.parseAxisParam(attrs.axis as number, x.shape);
    const shape = x.shape.filter((_, i) => i !== axis);
    return { inputs: [x], attributes: { axis }, outputs: [{ shape, dtype: 'int32' }] };
  },
};

const softmax: Recording = {
  record: ({ logits }, { dim }) => {
    const [axis] = tf.util.parseAxisParam(dim as number, logits.shape);
    tf.util.assert(axis === logits.shape.length - 1, () => 'Softmax works along the last axis only');
    return { inputs: [logits], outputs: [{ shape: logits.shape, dtype: 'float32' }] };
  },
};

export const reduceKernels = named({
  Sum: reduction(),
  Mean: reduction('float32'),
  /** The maximum, or NaN if any element is NaN. */
  Max: reduction(),
  ArgMax: argMax,
  Softmax: softmax,
});
