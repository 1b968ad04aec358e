/** @file Convolutions, resampling and row sums: gradients by finite differences, values against plain loops. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { conv1x1x1, convTranspose1x2x2, weightedRowSum } from './spatial.js';
import { backward } from './tape.js';

const tensor = ({ shape, data }: Values) => tf.tensor(data, shape);

/** Runs f on tensors of the inputs and gives the result's shape and data. */
function run(f: (...xs: tf.Tensor[]) => tf.Tensor, ...inputs: Values[]) {
  const y = tf.tidy(() => f(...inputs.map(tensor)));
  const result = { shape: y.shape, data: y.dataSync() };
  y.dispose();
  return result;
}

/** Row-major position of an index. */
const at = (shape: number[], index: number[]) => index.reduce((n, i, axis) => n * shape[axis] + i, 0);

describe('conv1x1x1', () => {
  it('maps the channels of every position', () => {
    const rng = new Rng(8);
    const [x, weight] = [normals([2, 1, 2, 2, 3], rng), normals([4, 3, 1, 1, 1], rng)];
    const y = run(conv1x1x1, x, weight);
    expect(y.shape).toEqual([2, 1, 2, 2, 4]);
    for (let n = 0; n < y.data.length; n++) {
      const [position, o] = [Math.floor(n / 4), n % 4];
      let sum = 0;
      for (let c = 0; c < 3; c++) sum += x.data[position * 3 + c] * weight.data[o * 3 + c];
      expect(y.data[n]).toBeCloseTo(sum, 5);
    }
    expectGradients(conv1x1x1, [x, weight]);
  });
});

describe('convTranspose1x2x2', () => {
  it('turns every position into a 2×2 patch', () => {
    const rng = new Rng(9);
    const [B, T, H, W, C, O] = [2, 2, 1, 3, 3, 2];
    const x = normals([B, T, H, W, C], rng);
    const [weight, bias] = [normals([C, O, 1, 2, 2], rng), normals([O], rng)];
    const y = run(convTranspose1x2x2, x, weight, bias);
    expect(y.shape).toEqual([B, T, 2 * H, 2 * W, O]);
    for (let b = 0; b < B; b++) {
      for (let t = 0; t < T; t++) {
        for (let h = 0; h < 2 * H; h++) {
          for (let w = 0; w < 2 * W; w++) {
            for (let o = 0; o < O; o++) {
              let sum = bias.data[o];
              for (let c = 0; c < C; c++) {
                const source = x.data[at(x.shape, [b, t, h >> 1, w >> 1, c])];
                sum += source * weight.data[at(weight.shape, [c, o, 0, h & 1, w & 1])];
              }
              expect(y.data[at(y.shape, [b, t, h, w, o])]).toBeCloseTo(sum, 5);
            }
          }
        }
      }
    }
    expectGradients(convTranspose1x2x2, [x, weight, bias]);
  });
});

describe('weightedRowSum', () => {
  const rng = new Rng(11);
  const [R, D, N, K] = [7, 3, 9, 4];
  const table = normals([R, D], rng);
  const weight = normals([N, K], rng);

  it.each([
    ['different rows', () => rng.int(R)],
    ['one row again and again', () => 5],
    ['two rows', () => 2 * rng.int(2)],
  ])('sums and differentiates %s', (_, next) => {
    const index = Int32Array.from({ length: N * K }, next);
    const f = (rows: tf.Tensor, weights: tf.Tensor) =>
      weightedRowSum(rows, tf.tensor2d(index, [N, K], 'int32'), weights);
    const y = run(f, table, weight);
    expect(y.shape).toEqual([N, D]);
    for (let n = 0; n < N; n++) {
      for (let d = 0; d < D; d++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += weight.data[n * K + k] * table.data[index[n * K + k] * D + d];
        expect(y.data[n * D + d]).toBeCloseTo(sum, 5);
      }
    }
    expectGradients(f, [table, weight]);
  });

  it('adds up thousands of gradients of one row exactly', () => {
    const count = 5000;
    const rows = tf.zeros([3, 2]);
    const weights = tf.ones([count, 2]);
    const { value, grads } = backward(
      // Row 1 from the first column, row 2 from the second.
      () => weightedRowSum(rows, tf.tile(tf.tensor2d([[1, 2]], [1, 2], 'int32'), [count, 1]), weights).sum(),
      [rows],
    );
    expect(Array.from(grads[0]!.dataSync())).toEqual([0, 0, count, count, count, count]);
    tf.dispose([rows, weights, value, grads[0]!]);
  });

  it('leaves no tensors behind', () => {
    const [rows, weights] = [tensor(table), tensor(weight)];
    const index = tf.zeros([N, K], 'int32');
    const before = tf.memory().numTensors;
    const { value, grads } = backward(
      () => weightedRowSum(rows, index, weights).sum() as tf.Scalar,
      [rows, weights],
    );
    tf.dispose([value, ...(grads as tf.Tensor[])]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([rows, weights, index]);
  });
});
