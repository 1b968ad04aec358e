import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, uniform } from '../../../../test/support/run_kernel.js';
import { runFusedKernel } from '../../../nn/fused.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';

// More than there may be processors, so that tasks that meet at one element would show.
process.env.STMIXER_THREADS = '4';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

interface Inputs {
  readonly table: KernelInput;
  readonly index: KernelInput;
  readonly weight: KernelInput;
  readonly dy: KernelInput;
}

/** The three kernels: y, dweight and dtable. */
function run(inputs: Inputs): Float32Array[] {
  return tf.tidy(() => {
    const { table, index, weight, dy } = tensorsOf(inputs);
    return [
      ...runFusedKernel('WeightedRowSum', { table, index, weight }, {}),
      ...runFusedKernel('WeightedRowSumGradWeight', { table, index, dy }, {}),
      ...runFusedKernel('WeightedRowSumGradTable', { index, weight, dy }, { shape: table.shape }),
    ].map((result) => result.dataSync().slice() as Float32Array);
  });
}

function tensorsOf(inputs: Inputs): Record<keyof Inputs, tf.Tensor> {
  const tensor = ({ shape, data }: KernelInput) => tf.tensor(data, [...shape]);
  const { table, index, weight, dy } = inputs;
  return { table: tensor(table), index: tensor(index), weight: tensor(weight), dy: tensor(dy) };
}

/** The same in double precision. */
function reference({ table, index, weight, dy }: Inputs): Float64Array[] {
  const [[N, K], D] = [index.shape, table.shape[1]];
  const results = [dy, weight, table].map(({ data }) => new Float64Array(data.length));
  const [y, dweight, dtable] = results;
  for (let i = 0; i < N * K; i++) {
    const [n, row] = [Math.floor(i / K) * D, index.data[i] * D];
    for (let d = 0; d < D; d++) {
      y[n + d] += weight.data[i] * table.data[row + d];
      dweight[i] += dy.data[n + d] * table.data[row + d];
      dtable[row + d] += weight.data[i] * dy.data[n + d];
    }
  }
  return results;
}

function inputsOf([N, K, D, R]: readonly number[], next: (rng: Rng) => number): Inputs {
  const rng = new Rng(7);
  return {
    table: uniform([R, D], 1),
    index: { shape: [N, K], data: Int32Array.from({ length: N * K }, () => next(rng)) },
    weight: uniform([N, K], 2),
    dy: uniform([N, D], 3),
  };
}

// N, K, D, R. The last sizes are many tasks.
const sizes = [
  [1, 1, 1, 1],
  [5, 3, 7, 4],
  [30, 16, 13, 50],
  [700, 9, 100, 90],
];

describe.each(sizes)('%i sums of %i rows of %i elements from %i', (...size) => {
  const R = size[3];
  it.each<[string, (rng: Rng) => number]>([
    ['any rows', (rng) => rng.int(R)],
    ['one row', () => R - 1],
    ['mostly one row', (rng) => (rng.int(9) > 0 ? R >> 1 : rng.int(R))],
  ])('and their gradients are right for %s', (_, next) => {
    const inputs = inputsOf(size, next);
    const results = run(inputs);
    for (const [i, wanted] of reference(inputs).entries())
      expect(relativeError(results[i], wanted)).toBeLessThan(3e-6);
    for (const [i, again] of run(inputs).entries())
      expect(Buffer.from(again.buffer).equals(Buffer.from(results[i].buffer))).toBe(true);
  });
});

it('rows that no index names have the gradient 0, even if others are not finite', () => {
  const inputs = inputsOf([4, 2, 3, 5], () => 1);
  inputs.index.data[5] = 3;
  inputs.dy.data.fill(Number.NaN);
  const [, , dtable] = run(inputs);
  expect([...dtable].map(Number.isNaN)).toEqual(
    [0, 1, 0, 1, 0].flatMap((named) => Array(3).fill(named === 1)),
  );
  expect([...dtable].filter((x) => !Number.isNaN(x))).toEqual(Array(9).fill(0));
});

it('no sums give no gradient', () => {
  const [y, dweight, dtable] = run(inputsOf([0, 2, 3, 2], () => 0));
  expect([y.length, dweight.length]).toEqual([0, 0]);
  expect([...dtable]).toEqual(Array(6).fill(0));
});

it.each([-7, 5, 2 ** 31 - 1])('refuses the index %i of five rows', (wrong) => {
  const inputs = inputsOf([3, 2, 4, 5], () => 0);
  inputs.index.data[3] = wrong;
  const attempts = [
    ({ table, index, weight }: ReturnType<typeof tensorsOf>) =>
      runFusedKernel('WeightedRowSum', { table, index, weight }, {}),
    ({ table, index, dy }: ReturnType<typeof tensorsOf>) =>
      runFusedKernel('WeightedRowSumGradWeight', { table, index, dy }, {}),
    ({ index, weight, dy }: ReturnType<typeof tensorsOf>) =>
      runFusedKernel('WeightedRowSumGradTable', { index, weight, dy }, { shape: [5, 4] }),
  ];
  for (const attempt of attempts) {
    const compute = () => tf.tidy(() => attempt(tensorsOf(inputs))[0].dataSync());
    expect(compute).toThrow(/out of range|out of data bounds|invalid indice/);
  }
});
