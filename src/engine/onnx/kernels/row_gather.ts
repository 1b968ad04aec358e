/** @file Weighted sums of gathered rows and their gradients, for table [R, D], index and weight [N, K], dy [N, D]. */
import { type CompositeKernel, floats, type ListInputs } from '../../record/kernel.js';
import { shapeKernels } from '../../record/kernels/shape.js';
import { SERIAL_STREAM } from '../compiler.js';
import { fusedKernel, type Kernel } from '../kernel.js';
import { splitEvenly } from './tiling.js';

/** Elements gathered at a time, so that they stay in the cache. */
const MAX_GATHERED = 2 ** 20;
/** Elements scattered at a time, to bound the memory of the updates. */
const MAX_SCATTERED = 2 ** 24;
/** Minimum columns of a lane: each lane reads all indices and weights again. */
const MIN_LANE_COLUMNS = 32;

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

/** Some columns of the table's gradient, [R, width]. */
const gradTableLane = (lane: number): Kernel<ListInputs, { rows: number }> => ({
  name: 'WeightedRowSumGradTableLane',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  stream: SERIAL_STREAM + lane,
  record: (inputs, attributes) => ({
    inputs,
    attributes,
    outputs: [floats([attributes.rows, inputs[2].shape[1]])],
  }),
  lower: (g, [index, weight, dy], { outputs: [{ shape }] }) => {
    const [N, K] = index.shape;
    const [R, D] = shape;
    const widths = splitEvenly(D, MAX_SCATTERED / (N * K));
    const indices = g.cast(g.reshape(index.name, [N, K, 1]), 'int64');
    const weights = g.reshape(weight.name, [N, K, 1]);
    const sums = g.split(dy.name, widths, 1).map((columns, c) => {
      const zeros = g.op('Expand', [g.scalar(0), g.ints([R, widths[c]])]);
      const slopes = g.op('Mul', [weights, g.reshape(columns, [N, 1, widths[c]])]);
      return g.op('ScatterND', [zeros, indices, slopes], { reduction: 'add' });
    });
    return g.concat(sums, 1);
  },
});

/** The kernel whose lowering serves all lanes. */
export const weightedRowSumGradTableLane = gradTableLane(0);

/** Number of lanes that D columns are split among. */
function laneCount(D: number, maxLanes: number): number {
  for (let lanes = maxLanes; lanes > 1; lanes--)
    if (D % lanes === 0 && D / lanes >= MIN_LANE_COLUMNS) return lanes;
  return 1;
}

/** The gradient of the table. Scattering takes one thread, so each thread takes some of the columns. */
export const weightedRowSumGradTable: CompositeKernel<'WeightedRowSumGradTable'> = {
  name: 'WeightedRowSumGradTable',
  run(recorder, { index, weight, dy }, { shape: [rows] }) {
    const lanes = laneCount(dy.shape[1], recorder.lanes);
    if (lanes === 1) return recorder.record(weightedRowSumGradTableLane, [index, weight, dy], { rows });
    const columns = recorder.record(shapeKernels.SplitV, { x: dy }, { numOrSizeSplits: lanes, axis: 1 });
    const sums = columns.flatMap((part, lane) =>
      recorder.record(gradTableLane(lane), [index, weight, part], { rows }),
    );
    const table = recorder.record(shapeKernels.Concat, sums, { axis: 1 });
    for (const { dataId } of [...columns, ...sums]) recorder.disposeData(dataId);
    return table;
  },
};
