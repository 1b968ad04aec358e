/** @file Kernels without operands, whose result follows from shape and attributes alone. */
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import { dtypeOf, named, type Recording } from '../kernel.js';

export interface FillAttributes {
  value: number;
}

/** The elements are from + i·by. */
export interface RangeAttributes {
  from: number;
  by: number;
}

const fill: Recording = {
  record: (_, { shape, value, dtype }) => ({
    inputs: [],
    attributes: { value },
    outputs: [
      {
        shape: shape as number[],
        dtype: dtypeOf({ dtype: (dtype as string | undefined) ?? tf.util.inferDtype(value as number) }),
      },
    ],
  }),
};

/** Zeros or ones in the shape of x. The values do not matter, so the operand is not an input of the graph. */
const filledLike: Recording = {
  record: ({ x }) => ({ inputs: [], attributes: {}, outputs: [{ shape: x.shape, dtype: dtypeOf(x) }] }),
};

const range: Recording = {
  record: (_, { start, stop, step, dtype }) => {
    const [from, to, by] = [start as number, stop as number, step as number];
    const isEmpty = from === to || (from < to && by < 0) || (to < from && by > 1);
    const length = isEmpty ? 0 : Math.abs(Math.ceil((to - from) / by));
    // As in tfjs, a step of 1 (the default) counts down if the end is below the start.
    const signed = to < from && by === 1 ? -1 : by;
    return {
      inputs: [],
      attributes: { from, by: signed },
      outputs: [{ shape: [length], dtype: dtypeOf({ dtype: dtype as LazyDtype }) }],
    };
  },
};

export const constantKernels = named({
  Fill: fill,
  ZerosLike: filledLike,
  OnesLike: filledLike,
  Range: range,
});
