/** @file Convolutions, resampling and row sums: gradients by finite differences, values against plain loops. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { conv1x1x1, conv3x3x3, convTranspose1x2x2, maxPool1x2x2, weightedRowSum } from './spatial.js';
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

describe('conv3x3x3', () => {
  it.each([
    ['several of every axis', [2, 3, 2, 4, 2]],
    ['one time step, one row', [1, 1, 1, 3, 2]],
  ])('computes a cross-correlation with zero padding: %s', (_, shape) => {
    const rng = new Rng(7);
    const [B, T, H, W, C] = shape;
    const O = 3;
    const [x, weight] = [normals(shape, rng), normals([O, C, 3, 3, 3], rng)];
    const y = run(conv3x3x3, x, weight);
    expect(y.shape).toEqual([B, T, H, W, O]);
    for (let n = 0; n < y.data.length; n++) {
      const o = n % O;
      const [w, h, t, b] = [
        Math.floor(n / O) % W,
        Math.floor(n / (O * W)) % H,
        Math.floor(n / (O * W * H)) % T,
        Math.floor(n / (O * W * H * T)),
      ];
      let sum = 0;
      for (let k = 0; k < 27 * C; k++) {
        const [i, dt, dh, dw] = [
          Math.floor(k / 27),
          (Math.floor(k / 9) % 3) - 1,
          (Math.floor(k / 3) % 3) - 1,
          (k % 3) - 1,
        ];
        const [t1, h1, w1] = [t + dt, h + dh, w + dw];
        if (t1 < 0 || h1 < 0 || w1 < 0 || t1 >= T || h1 >= H || w1 >= W) continue;
        sum += x.data[at(shape, [b, t1, h1, w1, i])] * weight.data[o * 27 * C + k];
      }
      expect(y.data[n]).toBeCloseTo(sum, 4);
    }
    expectGradients(conv3x3x3, [x, weight]);
  });
});

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

describe('maxPool1x2x2', () => {
  it.each([
    [4, 2],
    [5, 3],
    [2, 7],
  ])('takes the largest of each 2×2 positions of %i×%i, without an odd last one', (H, W) => {
    const [B, T, C] = [2, 2, 2];
    const order = new Rng(10).permutation(B * T * H * W * C);
    // Distinct values 0.2 apart: no step of the gradient check changes which one is largest.
    const x = values(
      [B, T, H, W, C],
      order.map((i) => 0.2 * i),
    );
    const y = run(maxPool1x2x2, x);
    const [h, w] = [H >> 1, W >> 1];
    expect(y.shape).toEqual([B, T, h, w, C]);
    for (let n = 0; n < y.data.length; n++) {
      const [c, j, i] = [n % C, Math.floor(n / C) % w, Math.floor(n / (C * w)) % h];
      const image = Math.floor(n / (C * w * h));
      const four = [0, 1, 2, 3].map(
        (k) => x.data[((image * H + 2 * i + (k >> 1)) * W + 2 * j + (k & 1)) * C + c],
      );
      expect(y.data[n]).toBe(Math.max(...four));
    }
    expectGradients(maxPool1x2x2, [x]);
  });

  it('gives the gradient to the first of equal values', () => {
    const x = tf.tensor([3, 3, 3, 3, 1, 5, 5, 5, 1, 1, 2, 2], [3, 1, 2, 2, 1]);
    const { value, grads } = backward(() => maxPool1x2x2(x).sum() as tf.Scalar, [x]);
    expect(Array.from(grads[0]!.dataSync())).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    tf.dispose([x, value, grads[0]!]);
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
