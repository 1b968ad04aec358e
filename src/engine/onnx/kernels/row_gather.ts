/** @file Weighted sums of gathered rows and their gradients, for table [R, D], index and weight [N, K], dy [N, D]. */
import { SERIAL_STREAM } from '../compiler.js';
import { floats, fusedKernel } from '../kernel.js';
import { splitEvenly } from './tiling.js';

/** Elements gathered at a time, so that they stay in the cache. */
const MAX_GATHERED = 2 ** 20;
/** Columns and elements scattered at a time; each chunk of rows copies its columns of the table once. */
const SCATTERED_COLUMNS = 64;
const MAX_SCATTERED = 2 ** 23;

export const weightedRowSum = fusedKernel('WeightedRowSum', {
  results: ({ table, index }) => {
    const [N, D] = [index.shape[0], table.shape[1]];
    return [floats([N, 1, D], [N, D])];
  },
  lower: (g, { table, index, weight }) => {
    const [N, K] = index.shape;
    const sizes = splitEvenly(N, MAX_GATHERED / (K * table.shape[1]));
    const weights = g.split(g.reshape(weight.name, [N, 1, K]), sizes, 0);
    const sums = g
      .split(index.name, sizes, 0)
      .map((indices, i) => g.op('MatMul', [weights[i], g.op('Gather', [table.name, indices], { axis: 0 })]));
    return [g.concat(sums, 0)];
  },
});

export const weightedRowSumGradWeight = fusedKernel('WeightedRowSumGradWeight', {
  results: ({ index }) => [floats([...index.shape, 1], index.shape)],
  lower: (g, { table, index, dy }) => {
    const [N, K] = index.shape;
    const D = table.shape[1];
    const sizes = splitEvenly(N, MAX_GATHERED / (K * D));
    const dys = g.split(g.reshape(dy.name, [N, D, 1]), sizes, 0);
    const products = g
      .split(index.name, sizes, 0)
      .map((indices, i) => g.op('MatMul', [g.op('Gather', [table.name, indices], { axis: 0 }), dys[i]]));
    return [g.concat(products, 0)];
  },
});

export const weightedRowSumGradTable = fusedKernel('WeightedRowSumGradTable', {
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  stream: SERIAL_STREAM,
  results: (_, { shape }) => [floats(shape)],
  lower: (g, { index, weight, dy }, { shape: [R, D] }) => {
    const [N, K] = index.shape;
    const widths = splitEvenly(D, SCATTERED_COLUMNS);
    const sizes = splitEvenly(N, MAX_SCATTERED / (K * Math.max(...widths)));
    const indices = g.split(g.cast(g.reshape(index.name, [N, K, 1]), 'int64'), sizes, 0);
    const weights = g.split(g.reshape(weight.name, [N, K, 1]), sizes, 0);
    const columns = g.split(dy.name, widths, 1);
    const sums = widths.map((width, c) => {
      const slopes = g.split(g.reshape(columns[c], [N, 1, width]), sizes, 0);
      const zeros = g.op('Expand', [g.scalar(0), g.ints([R, width])]);
      return indices.reduce(
        (sum, at, i) =>
          g.op('ScatterND', [sum, at, g.op('Mul', [weights[i], slopes[i]])], { reduction: 'add' }),
        zeros,
      );
    });
    return [g.concat(sums, 1)];
  },
});
