/** @file Kernels without operands, whose result follows from shape and attributes alone. */
import type { LazyDtype } from '../../lazy/value.js';
import { tf } from '../../tfjs.js';
import { dtypeOf, type Kernel } from '../kernel.js';

const fill: Kernel = {
  name: 'Fill',
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
  lower: (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
    const { value } = attributes as { value: number };
    return g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]);
  },
};

function filledLike(name: string, value: number): Kernel {
  return {
    name,
    // The values do not matter, so the operand is not an input of the graph.
    record: ({ x }) => ({ inputs: [], attributes: {}, outputs: [{ shape: x.shape, dtype: dtypeOf(x) }] }),
    lower: (g, _, { outputs: [{ shape, dtype }] }) => g.op('Expand', [g.scalar(value, dtype), g.ints(shape)]),
  };
}

const range: Kernel = {
  name: 'Range',
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
  lower: (g, _, { attributes, outputs: [{ shape, dtype }] }) => {
    const { from, by } = attributes as { from: number; by: number };
    const values = Array.from({ length: shape[0] }, (_, i) => from + i * by);
    return g.op('Identity', [g.constant(dtype, shape, values)]);
  },
};

export const constantKernels: Kernel<never>[] = [
  fill,
  filledLike('ZerosLike', 0),
  filledLike('OnesLike', 1),
  range,
];
