/** @file Native linear layers and their gradients, compared with sums in double precision. */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { runFusedKernel } from '../../../nn/fused.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

function uniform(rows: number, columns: number, seed: number): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: rows * columns }, () => rng.uniformBetween(-1, 1));
}

/** Σ a(i, p)·b(p, j) over `inner` summands. */
function product(
  [rows, inner, columns]: readonly number[],
  a: (row: number, p: number) => number,
  b: (p: number, column: number) => number,
): Float64Array {
  const sums = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      for (let p = 0; p < inner; p++) sums[i * columns + j] += a(i, p) * b(p, j);
  return sums;
}

// Sizes that fill strips and blocks, and that do not. The last ones have sums of several blocks, and of more than are packed at once.
it.each([
  [256, 16, 16],
  [257, 1, 1],
  [384, 65, 33],
  [577, 47, 1],
  [1031, 19, 70],
  [300, 601, 18],
  [8300, 600, 2],
])('a linear layer of %i rows from %i to %i features has the right result and gradients', async (N, I, O) => {
  const [x, weight, bias, dy] = [uniform(N, I, 1), uniform(O, I, 2), uniform(1, O, 3), uniform(N, O, 4)];
  const tensors = {
    x: tf.tensor2d(x, [N, I]),
    weight: tf.tensor2d(weight, [O, I]),
    bias: tf.tensor1d(bias),
    dy: tf.tensor2d(dy, [N, O]),
  };
  const wanted = [
    product(
      [N, I, O],
      (n, i) => x[n * I + i],
      (i, o) => weight[o * I + i],
    ).map((sum, n) => sum + bias[n % O]),
    product(
      [N, O, I],
      (n, o) => dy[n * O + o],
      (o, i) => weight[o * I + i],
    ),
    product(
      [O, N, I],
      (o, n) => dy[n * O + o],
      (n, i) => x[n * I + i],
    ),
  ];
  const [y] = runFusedKernel('Linear', tensors, {});
  const [dx, dWeight] = runFusedKernel('LinearGrad', tensors, {});
  for (const [i, result] of [y, dx, dWeight].entries())
    expect(relativeError((await result.data()) as Float32Array, wanted[i])).toBeLessThan(2e-6);
});
