/** @file Operations that are computed in chunks give the same results as when they are computed as a whole. */
import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { normals, type Values, values } from '../../../../test/support/finite_difference.js';
import { attention, joinHeads, selfAttention, splitHeads } from '../../../nn/attention.js';
import { conv3d } from '../../../nn/conv3d.js';
import { weightedRowSum } from '../../../nn/spatial.js';
import { backward } from '../../../nn/tape.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';
import { splitEvenly } from './tiling.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

/** The value of f and the gradients of all inputs, for a given gradient of the value. */
async function evaluate(
  f: (...xs: tf.Tensor[]) => tf.Tensor,
  inputs: readonly Values[],
  upstream: Values,
): Promise<Float32Array[]> {
  const xs = inputs.map(({ shape, data }) => tf.tensor(data, shape));
  const dy = tf.tensor(upstream.data, upstream.shape);
  let y: tf.Tensor | undefined;
  const { value, grads } = backward(() => {
    y = tf.keep(f(...xs));
    return y.mul(dy).sum() as tf.Scalar;
  }, xs);
  const results = [y as tf.Tensor, ...(grads as tf.Tensor[])];
  // Asynchronous reads run the lanes of a kernel at the same time.
  const numbers = (await Promise.all(results.map((result) => result.data()))) as Float32Array[];
  tf.dispose([value, dy, ...xs, ...results]);
  return numbers;
}

it.each([
  [10, 10, [10]],
  [10, 3, [2, 3, 2, 3]],
  [10, 1, new Array(10).fill(1)],
  [10, 0.3, new Array(10).fill(1)],
  [7, 4, [3, 4]],
  [1, 100, [1]],
])('splits %i rows evenly into chunks of at most %d', (count, maxSize, expected) => {
  expect(splitEvenly(count, maxSize)).toEqual(expected);
});

describe.each([
  ['plain', false],
  ['with a dropout mask', true],
])('self-attention head by head, %s', (_, withMask) => {
  it('gives the value and the gradients of all heads together', async () => {
    const [B, heads, N, D] = [2, 3, 600, 2];
    const rng = new Rng(1);
    const qkv = normals([B, N, 3 * heads * D], rng, 2);
    const upstream = normals([B, N, heads * D], rng);
    const mask = withMask
      ? tf.tensor(values([B * heads, N, N], () => (rng.uniform() < 0.5 ? 0 : 2)).data, [B * heads, N, N])
      : undefined;
    const options = { scale: 0.9, mask };
    const byHead = await evaluate((x) => selfAttention(x, heads, options), [qkv], upstream);
    const together = await evaluate(
      (x) => joinHeads(attention(...splitHeads(x, heads), options), B, N),
      [qkv],
      upstream,
    );
    for (const [i, numbers] of byHead.entries()) {
      expect(relativeError(numbers, together[i])).toBeLessThan(1e-5);
    }
    mask?.dispose();
  });
});

describe('the convolution of a large map', () => {
  // 2·45·45 tiles, in chunks of 256 and 512; one of two layers of tiles reaches beyond the map.
  const size = { T: 3, H: 90, W: 90 };

  it.each([
    ['many features in', 32, 2],
    ['many features out', 2, 32],
  ])('is right at every border between chunks: %s', async (_, C, O) => {
    const { T, H, W } = size;
    const rng = new Rng(2);
    const x = normals([1, T, H, W, C], rng);
    const weight = normals([O, C, 3, 3, 3], rng);
    const dy = normals([1, T, H, W, O], rng);
    const [y, dx, dweight] = await evaluate((a, w) => conv3d(a, w, { padding: [1, 1, 1] }), [x, weight], dy);

    /** Calls `visit` with all pairs of positions [from, to] that element k of a 3×3×3 kernel joins. */
    const visit = (k: number, pair: (from: number, to: number) => void) => {
      const [dt, dh, dw] = [Math.floor(k / 9) - 1, (Math.floor(k / 3) % 3) - 1, (k % 3) - 1];
      for (let t = Math.max(0, -dt); t < Math.min(T, T - dt); t++) {
        for (let h = Math.max(0, -dh); h < Math.min(H, H - dh); h++) {
          for (let w = Math.max(0, -dw); w < Math.min(W, W - dw); w++)
            pair(((t + dt) * H + h + dh) * W + w + dw, (t * H + h) * W + w);
        }
      }
    };
    const expected = [y, dx, dweight].map(({ length }) => new Float64Array(length));
    for (let k = 0; k < 27; k++) {
      visit(k, (from, to) => {
        for (let c = 0; c < C; c++) {
          const value = x.data[from * C + c];
          let slope = 0;
          for (let o = 0; o < O; o++) {
            const place = (o * C + c) * 27 + k;
            const gradient = dy.data[to * O + o];
            expected[0][to * O + o] += value * weight.data[place];
            expected[2][place] += value * gradient;
            slope += weight.data[place] * gradient;
          }
          expected[1][from * C + c] += slope;
        }
      });
    }
    for (const [i, numbers] of [y, dx, dweight].entries()) {
      expect(relativeError(numbers, expected[i])).toBeLessThan(1e-5);
      // No chunk is off, not even by one element, in units of a typical one.
      const typical = Math.sqrt(numbers.reduce((sum, n) => sum + n * n, 0) / numbers.length);
      const worst = numbers.reduce((most, n, j) => Math.max(most, Math.abs(n - expected[i][j])), 0);
      expect(worst / typical).toBeLessThan(1e-4);
    }
  });
});

it('sums very many rows and computes the gradients', async () => {
  // 37 million elements are gathered in chunks of one million, and scattered in two lanes of two chunks each.
  const [R, D, N, K] = [5000, 64, 36_000, 16];
  const rng = new Rng(3);
  const table = normals([R, D], rng);
  const weight = normals([N, K], rng);
  const dy = normals([N, D], rng);
  const index = Int32Array.from({ length: N * K }, () => rng.int(R));
  const [y, dtable, dweight] = await evaluate(
    (rows, weights) => weightedRowSum(rows, tf.tensor2d(index, [N, K], 'int32'), weights),
    [table, weight],
    dy,
  );
  const expected = [y, dtable, dweight].map(({ length }) => new Float64Array(length));
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const [place, row] = [n * K + k, index[n * K + k]];
      let slope = 0;
      for (let d = 0; d < D; d++) {
        expected[0][n * D + d] += weight.data[place] * table.data[row * D + d];
        expected[1][row * D + d] += weight.data[place] * dy.data[n * D + d];
        slope += table.data[row * D + d] * dy.data[n * D + d];
      }
      expected[2][place] = slope;
    }
  }
  for (const [i, numbers] of [y, dtable, dweight].entries())
    expect(relativeError(numbers, expected[i])).toBeLessThan(1e-5);
});
