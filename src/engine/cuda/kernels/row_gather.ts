/** @file Weighted sums of gathered rows and their gradients, for table [R, D], index and weight [N, K], dy [N, D]. */
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { fusedKernel } from './fused_kernel.js';
import { scatterAdd } from './scatter/scatter.js';

/** Element d of the row of the table that element `at` of the index names. Indices beyond the table count as its ends. */
function gathered(b: Builder, { table, index }: { table: View; index: View }, at: Expr, d: Expr): Expr {
  const [R, D] = table.shape;
  return b.load(
    table,
    b
      .load(index, at)
      .max(0)
      .min(R - 1)
      .mul(D)
      .add(d),
  );
}

export const weightedRowSum = fusedKernel('WeightedRowSum', {
  results: ({ table, index }) => [floats([index.shape[0], table.shape[1]])],
  lower: (b, { table, index, weight }) => {
    const [[N, K], [, D]] = [index.shape, table.shape];
    const sum = b.reduce(floats([N, D]), { operator: 'sum', count: K }, (o, k) => {
      const at = o.div(D).mul(K).add(k);
      return b.load(weight, at).mul(gathered(b, { table, index }, at, o.mod(D)));
    });
    return [sum];
  },
});

export const weightedRowSumGradWeight = fusedKernel('WeightedRowSumGradWeight', {
  results: ({ index }) => [floats(index.shape)],
  lower: (b, { table, index, dy }) => {
    const [[, K], [, D]] = [index.shape, table.shape];
    const dweight = b.reduce(floats(index.shape), { operator: 'sum', count: D }, (o, d) =>
      gathered(b, { table, index }, o, d).mul(b.load(dy, o.div(K).mul(D).add(d))),
    );
    return [dweight];
  },
});

export const weightedRowSumGradTable = fusedKernel('WeightedRowSumGradTable', {
  results: (_, { shape }) => [floats(shape)],
  lower: (b, { index, weight, dy }, { shape }, policy) => [
    scatterAdd(b, { shape, row: index, values: dy, repeats: index.shape[1], weights: weight }, policy),
  ],
});
