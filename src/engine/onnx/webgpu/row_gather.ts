/** @file Weighted sums of gathered rows and their gradients on a GPU, for table [R, D], index and weight [N, K], dy [N, D]. */
import { floats } from '../../record/kernel.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { splitEvenly } from '../kernels/tiling.js';
import { itemsPerPiece } from './limits.js';
import { largestOfRows, poison, scatterer } from './scatter.js';

/** Gathers rows for some samples at a time, and multiplies each with a factor of its sample. */
function products(
  g: GraphBuilder,
  { table, index, factor }: { table: Operand; index: Operand; factor: string },
  sum: (product: string, count: number) => string,
): string {
  const [N, K] = index.shape;
  const counts = splitEvenly(N, itemsPerPiece(K * table.shape[1]));
  const factors = g.split(factor, counts, 0);
  const sums = g.split(index.name, counts, 0).map((indices, i) => {
    const rows = g.op('Gather', [table.name, indices], { axis: 0 });
    return sum(g.op('Mul', [rows, factors[i]]), counts[i]);
  });
  return g.concat(sums, 0);
}

export const weightedRowSum = fusedKernel('WeightedRowSum', {
  results: ({ table, index }) => [floats([index.shape[0], table.shape[1]])],
  lower: (g, { table, index, weight }) => {
    const factor = g.reshape(weight.name, [...index.shape, 1]);
    return [
      products(g, { table, index, factor }, (product) =>
        g.op('ReduceSum', [product, g.ints([1])], { keepdims: 0 }),
      ),
    ];
  },
});

export const weightedRowSumGradWeight = fusedKernel('WeightedRowSumGradWeight', {
  results: ({ index }) => [floats(index.shape)],
  lower: (g, { table, index, dy }) => {
    const factor = g.reshape(dy.name, [index.shape[0], 1, table.shape[1]]);
    return [
      products(g, { table, index, factor }, (product) =>
        g.op('ReduceSum', [product, g.ints([2])], { keepdims: 0 }),
      ),
    ];
  },
});

export const weightedRowSumGradTable = fusedKernel('WeightedRowSumGradTable', {
  results: (_, { shape }) => [floats(shape)],
  lower: (g, { index, weight, dy }, { shape: [R, D] }) => {
    const [N, K] = index.shape;
    const bounds = g.op('Mul', [g.op('Abs', [weight.name]), largestOfRows(g, dy.name)]);
    const indices = g.reshape(index.name, [N * K, 1]);
    const scatter = scatterer(g, g.reshape(bounds, [N * K, 1]), { rows: R, indices, count: N * K });
    const factor = g.reshape(weight.name, [N, K, 1]);
    const widths = splitEvenly(D, itemsPerPiece(N * K));
    const sums = g.split(dy.name, widths, 1).map((columns, i) => {
      const slopes = g.op('Mul', [factor, g.reshape(columns, [N, 1, widths[i]])]);
      return scatter(g.reshape(slopes, [N * K, widths[i]]), widths[i]);
    });
    const spoiled = g.op('Add', [poison(g, weight.name), poison(g, dy.name)]);
    return [g.op('Add', [g.concat(sums, 1), spoiled])];
  },
});
