/** @file Weighted sums of gathered rows and their gradients, computed by the native library. */
import { floats } from '../../record/kernel.js';
import type { Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { weightedRowSum, weightedRowSumGradWeight } from '../kernels/row_gather.js';

/** N, K, D and R for index [N, K] and a table [R, D]. */
const sizes = (index: Operand, [R, D]: readonly number[]) => [...index.shape, D, R];

export const nativeWeightedRowSum = fusedKernel('WeightedRowSum', {
  ...weightedRowSum.definition,
  lower: (g, { table, index, weight }) => {
    const results = [floats([index.shape[0], 1, table.shape[1]])];
    const operands = [table.name, index.name, weight.name];
    const [y] = g.native('WeightedRowSum', operands, { results, ints: sizes(index, table.shape) });
    return [y];
  },
});

export const nativeWeightedRowSumGradWeight = fusedKernel('WeightedRowSumGradWeight', {
  ...weightedRowSumGradWeight.definition,
  lower: (g, { table, index, dy }) => {
    const call = { results: [floats([...index.shape, 1])], ints: sizes(index, table.shape) };
    const [dweight] = g.native('WeightedRowSumGradWeight', [table.name, index.name, dy.name], call);
    return [dweight];
  },
});

export const nativeWeightedRowSumGradTable = fusedKernel('WeightedRowSumGradTable', {
  results: (_, { shape }) => [floats(shape)],
  lower: (g, { index, weight, dy }, { shape }) => {
    const call = { results: [floats(shape)], ints: sizes(index, shape) };
    const [dtable] = g.native('WeightedRowSumGradTable', [index.name, weight.name, dy.name], call);
    return [dtable];
  },
});
