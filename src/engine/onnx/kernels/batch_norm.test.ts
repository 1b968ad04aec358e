/** @file Batch normalisation by ONNX's operators, against numbers in double precision. */
import { beforeEach, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { TEST_DEVICE } from '../../../../test/support/engine.js';
import { type KernelInput, runnerOf, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import { batchNorm, batchNormGrad, columnSums } from './batch_norm.js';

const EPS = 1e-5;
const FORWARD = 1e-5;
const SHAPES = [
  [1, 1, 1, 6, 3],
  [2, 3, 5, 4, 7],
  // A prime number of rows.
  [1, 1, 1, 1009, 3],
  [1, 4, 32, 40, 5],
];

/** Value, statistics and gradients in double precision. */
function reference({ x, weight, bias, residual, dy }: Record<string, KernelInput>, relu: boolean) {
  const C = weight.data.length;
  const N = x.data.length / C;
  const columns = (term: (i: number, c: number) => number) =>
    Array.from({ length: C }, (_, c) => {
      let sum = 0;
      for (let n = 0; n < N; n++) sum += term(n * C + c, c);
      return sum;
    });
  const mean = columns((i) => x.data[i] / N);
  const variance = columns((i, c) => (x.data[i] - mean[c]) ** 2 / N);
  const rstd = variance.map((v) => 1 / Math.sqrt(v + EPS));
  const normal = Array.from(x.data, (value, i) => (value - mean[i % C]) * rstd[i % C]);
  const y = normal.map((value, i) => {
    const sum = value * weight.data[i % C] + bias.data[i % C] + residual.data[i];
    return relu ? Math.max(0, sum) : sum;
  });
  const slope = y.map((value, i) => (relu && value <= 0 ? 0 : dy.data[i]));
  const dbias = columns((i) => slope[i]);
  const dweight = columns((i) => slope[i] * normal[i]);
  const dx = slope.map((value, i) => {
    const c = i % C;
    return weight.data[c] * rstd[c] * (value - dbias[c] / N - (normal[i] * dweight[c]) / N);
  });
  return { y, mean, variance, dx, dweight, dbias };
}

const asInput = (numbers: readonly number[], shape: readonly number[]): KernelInput => ({
  shape,
  data: Float32Array.from(numbers),
});

describe('batch normalisation by operators', () => {
  beforeEach(async () => {
    await selectEngine({ engine: 'onnx', device: TEST_DEVICE, strict: true });
  });

  const run = runnerOf([batchNorm, batchNormGrad, columnSums]);

  it.each(SHAPES)('normalises [%i, %i, %i, %i, %i], and has the right gradients', (...shape) => {
    const C = shape[4];
    const inputs = {
      x: uniform(shape, 1),
      weight: uniform([C], 2),
      bias: uniform([C], 3),
      residual: uniform(shape, 4),
      dy: uniform(shape, 5),
    };
    const { x, weight, bias, residual, dy } = inputs;
    for (const relu of [false, true]) {
      const { y, mean, variance, ...grads } = reference(inputs, relu);
      const forward = run('BatchNorm', { x, weight, bias, residual }, { eps: EPS, relu });
      for (const [i, expected] of [y, mean, variance].entries())
        expect(relativeError(forward[i], expected), `result ${i}`).toBeLessThan(FORWARD);
      const given = { dy, x, weight, mean: asInput(mean, [C]), variance: asInput(variance, [C]) };
      const found = run('BatchNormGrad', relu ? { ...given, y: asInput(y, shape) } : given, { eps: EPS });
      for (const [i, expected] of Object.values(grads).entries())
        expect(relativeError(found[i], expected), `gradient ${i}`).toBeLessThan(1e-4);
    }
  });

  it.each([
    [3000, 5],
    [1, 3],
    [0, 2],
  ])('adds up the columns of %i rows of %i', (rows, columns) => {
    const x = uniform([rows, columns], 1);
    const sums = Array.from({ length: columns }, (_, c) =>
      [...x.data].filter((_, i) => i % columns === c).reduce((a, b) => a + b, 0),
    );
    expect(relativeError(run('ColumnSums', { x }, {})[0], sums)).toBeLessThan(FORWARD);
  });
});
