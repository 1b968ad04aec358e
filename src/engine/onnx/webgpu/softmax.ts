/** @file Softmax on a GPU that does not hide NaN: the provider's own makes rows of zeros of it. */
import { reduceKernels } from '../../record/kernels/reduce.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { Kernel } from '../kernel.js';

/** The provider's softmax along the last axis. Rows with NaN or +∞ become zeros. */
export function softmaxOrZeros(g: GraphBuilder, x: string): string {
  return g.op('Softmax', [x], { axis: -1 });
}

/** Sums of the rows of p [S, R, N], [S, R, 1]: 1, or 0 for a row that should be NaN. */
export function sumsOfProbabilities(g: GraphBuilder, p: string, rank = 3): string {
  return g.op('ReduceSum', [p, g.ints([rank - 1])], { keepdims: 1 });
}

export const softmax: Kernel = {
  ...reduceKernels.Softmax,
  lower: (g, [{ name, shape }]) => {
    const p = softmaxOrZeros(g, name);
    return g.op('Div', [p, sumsOfProbabilities(g, p, shape.length)]);
  },
};
