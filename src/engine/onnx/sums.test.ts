/** @file Sums of very many terms on several threads lose no term and little precision. */
import { beforeAll, describe, expect, it } from 'vitest';
import { sizeOf } from '../../formats/host_tensor.js';
import { layerNorm, linear } from '../../nn/functional.js';
import { weightedRowSum } from '../../nn/spatial.js';
import { backward } from '../../nn/tape.js';
import { Rng } from '../../util/random.js';
import { selectEngine } from '../index.js';
import { tf } from '../tfjs.js';

// More than there may be processors: threads that wait for each other meet at one element more often.
process.env.STMIXER_THREADS = '4';

beforeAll(async () => {
  const { threads } = await selectEngine({ engine: 'onnx', device: 'cpu' });
  expect(threads).toBe(4);
});

/** A lost update shows in some runs only. */
const REPETITIONS = 5;

const rng = new Rng(30);
const integers = (count: number, limit: number) => Int32Array.from({ length: count }, () => rng.int(limit));
/** Whole numbers, whose sums float32 holds exactly: whatever the order, not one bit may differ. */
const wholeNumbers = (count: number) => Float32Array.from({ length: count }, () => rng.int(9) - 4);

describe.each([
  ['one row', 1],
  ['three rows', 3],
  ['many rows', 500],
])('sums of terms that all go to %s', (_, rows) => {
  const [N, D] = [40_000, 8];
  const places = integers(N, rows);
  const terms = wholeNumbers(N * D);
  const expected = new Float32Array(rows * D);
  for (let i = 0; i < N * D; i++) expected[places[Math.floor(i / D)] * D + (i % D)] += terms[i];

  it.each<[string, (places: tf.Tensor1D, terms: tf.Tensor2D) => tf.Tensor]>([
    ['scatterND', (index, updates) => tf.scatterND(index.reshape([N, 1]), updates, [rows, D])],
    ['unsortedSegmentSum', (index, updates) => tf.unsortedSegmentSum(updates, index, rows)],
    [
      'the gradient of gather',
      (index, updates) => tf.grad((x) => tf.gather(x, index))(tf.zeros([rows, D]), updates),
    ],
    [
      'the gradient of weightedRowSum',
      (index, updates) =>
        tf.grad((x) => weightedRowSum(x, index.reshape([N / 2, 2]), tf.ones([N / 2, 2])))(
          tf.zeros([rows, D]),
          // Both places of a row get the same, so every other term is another's.
          updates.reshape([N / 2, 2 * D]).slice([0, 0], [N / 2, D]),
        ),
    ],
  ])('are complete in %s', (name, compute) => {
    const wanted = name.endsWith('weightedRowSum') ? new Float32Array(rows * D) : expected;
    if (wanted !== expected) {
      for (let i = 0; i < N * D; i++) {
        const row = Math.floor(i / D);
        wanted[places[row] * D + (i % D)] += terms[(row - (row % 2)) * D + (i % D)];
      }
    }
    for (let n = 0; n < REPETITIONS; n++) {
      const sums = tf.tidy(() =>
        compute(tf.tensor1d(places, 'int32'), tf.tensor2d(terms, [N, D])).dataSync(),
      );
      expect(sums).toEqual(wanted);
    }
  });
});

it('scatterND counts single elements, also of integers', () => {
  const N = 300_000;
  const places = integers(2 * N, 2);
  const expected = new Int32Array(4);
  for (let n = 0; n < N; n++) expected[2 * places[2 * n] + places[2 * n + 1]] += n % 7;
  for (const dtype of ['int32', 'float32'] as const) {
    const sums = tf.tidy(() => {
      const updates = tf.tensor1d(
        Array.from({ length: N }, (_, n) => n % 7),
        dtype,
      );
      return tf.scatterND(tf.tensor2d(places, [N, 2], 'int32'), updates, [2, 2]).dataSync();
    });
    expect(Array.from(sums)).toEqual(Array.from(expected));
  }
});

describe('sums over axes', () => {
  const shape = [150, 40, 70];
  const size = sizeOf(shape);
  /** Numbers of one sign, so that nothing is lost but by rounding. */
  const numbers = Float32Array.from({ length: size }, () => rng.uniform());

  /** In double precision. */
  function sumOver(axes: readonly number[]): Float64Array {
    const kept = [0, 1, 2].filter((axis) => !axes.includes(axis));
    const sums = new Float64Array(sizeOf(kept.map((axis) => shape[axis])));
    for (let i = 0; i < size; i++) {
      const index = [Math.floor(i / (40 * 70)), Math.floor(i / 70) % 40, i % 70];
      sums[kept.reduce((place, axis) => place * shape[axis] + index[axis], 0)] += numbers[i];
    }
    return sums;
  }

  it.each([[[0]], [[1]], [[2]], [[0, 1]], [[0, 2]], [[1, 2]], [[0, 1, 2]]])(
    'are precise over the axes %j',
    (axes) => {
      const expected = sumOver(axes);
      const count = sizeOf(axes.map((axis) => shape[axis]));
      const runs = Array.from({ length: 3 }, () =>
        tf.tidy(() => {
          const x = tf.tensor(numbers, shape);
          return [x.sum(axes).dataSync(), x.mean(axes).dataSync()];
        }),
      );
      const [sums, means] = runs[0];
      for (const [i, sum] of expected.entries()) {
        expect(Math.abs(sums[i] / sum - 1)).toBeLessThan(1e-5);
        expect(Math.abs(means[i] / (sum / count) - 1)).toBeLessThan(1e-5);
      }
      // However the work is shared out, the next run gives the same bits.
      for (const run of runs) expect(run).toEqual(runs[0]);
    },
  );
});

it('adds up all rows in the gradients of biases and norms', () => {
  const [N, C] = [60_000, 5];
  const x = wholeNumbers(N * C);
  const upstream = wholeNumbers(N * C);
  const [sums, products] = [new Float32Array(C), new Float64Array(C)];
  for (let n = 0; n < N; n++) {
    const row = x.subarray(n * C, (n + 1) * C);
    const mean = row.reduce((sum, value) => sum + value, 0) / C;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C;
    for (let c = 0; c < C; c++) {
      sums[c] += upstream[n * C + c];
      products[c] += (upstream[n * C + c] * (row[c] - mean)) / Math.sqrt(variance + 1);
    }
  }
  const gradients = (
    f: (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => tf.Tensor,
    weight: tf.Tensor,
  ) => {
    const [input, dy, bias] = [tf.tensor2d(x, [N, C]), tf.tensor2d(upstream, [N, C]), tf.zeros([C])];
    const { value, grads } = backward(
      () => f(input, weight, bias).mul(dy).sum() as tf.Scalar,
      [weight, bias],
    );
    const result = grads.map((gradient) => gradient?.dataSync() as Float32Array);
    tf.dispose([input, dy, bias, weight, value, ...(grads as tf.Tensor[])]);
    return result;
  };
  const [, dbias] = gradients(linear, tf.eye(C));
  expect(dbias).toEqual(sums);
  const norm = (t: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => layerNorm(t, 1, { weight, bias });
  const [dweight, dbeta] = gradients(norm, tf.ones([C]));
  expect(dbeta).toEqual(sums);
  for (let c = 0; c < C; c++) expect(Math.abs(dweight[c] - products[c])).toBeLessThan(0.05);
});
