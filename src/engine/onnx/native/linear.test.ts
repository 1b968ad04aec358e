/** @file Native linear layers and their gradients, compared with sums in double precision. */
import { beforeAll, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

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
])(
  'a linear layer of %i rows from %i to %i features has the right result and gradients, on one thread or all',
  (N, I, O) => {
    const inputs = {
      x: uniform([N, I], 1),
      weight: uniform([O, I], 2),
      bias: uniform([O], 3),
      dy: uniform([N, O], 4),
    };
    const [x, weight, bias, dy] = [inputs.x, inputs.weight, inputs.bias, inputs.dy].map(({ data }) => data);
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
    const run = (threading: 'pool' | 'single') => {
      const [y] = runKernel(
        'Linear',
        { x: inputs.x, weight: inputs.weight, bias: inputs.bias },
        {},
        threading,
      );
      const gradients = { dy: inputs.dy, x: inputs.x, weight: inputs.weight };
      const [dx, dWeight] = runKernel('LinearGrad', gradients, {}, threading);
      return [y, dx, dWeight];
    };
    const results = run('pool');
    for (const [i, result] of results.entries()) expect(relativeError(result, wanted[i])).toBeLessThan(2e-6);
    const bytes = ({ buffer }: Float32Array) => Buffer.from(buffer);
    for (const [i, result] of run('single').entries())
      expect(bytes(result).equals(bytes(results[i]))).toBe(true);
  },
);
