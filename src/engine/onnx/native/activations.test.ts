import { beforeAll, describe, expect, it } from 'vitest';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Φ(x): ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …). */
function cdf(x: number): number {
  let [sum, term] = [0, x];
  for (let k = 3; Math.abs(term) > 1e-18 * Math.abs(sum); k += 2) {
    sum += term;
    term *= (x * x) / k;
  }
  return 0.5 + density(x) * sum;
}

/** The largest difference between f(element) and the result. */
function largestError(inputs: readonly KernelInput[], result: Float32Array, f: (...x: number[]) => number) {
  let largest = 0;
  for (const [i, y] of result.entries()) {
    const error = Math.abs(y - f(...inputs.map(({ data }) => data[i])));
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

// The last size is more than one task.
describe.each([[[1]], [[5, 3]], [[263, 251]]])('of a tensor %j', (shape) => {
  const [x, dy] = [uniform(shape, 1, -6, 6), uniform(shape, 2)];

  it('GELU has the right values', () => {
    const [y] = runKernel('Gelu', { x }, {});
    expect(y.length).toBe(x.data.length);
    expect(largestError([x], y, (t) => t * cdf(t))).toBeLessThan(6e-7);
  });

  it('the gradient of GELU has the right values', () => {
    const [dx] = runKernel('GeluGrad', { dy, x }, {});
    expect(dx.length).toBe(x.data.length);
    expect(largestError([dy, x], dx, (s, t) => s * (cdf(t) + t * density(t)))).toBeLessThan(3e-7);
  });

  it('the gradient of ReLU is dy where y is positive', () => {
    const y = { shape, data: x.data.map((t) => Math.max(0, t)) };
    const [dx] = runKernel('ReluGrad', { dy, y }, {});
    expect(dx.length).toBe(y.data.length);
    expect(largestError([dy, y], dx, (s, t) => (t > 0 ? s : 0))).toBe(0);
  });
});

describe('beyond the numbers', () => {
  const x = { shape: [8], data: Float32Array.of(Infinity, -Infinity, NaN, 1e20, -1e20, 15, -15, 0) };
  const dy = { shape: [8], data: new Float32Array(8).fill(2) };

  it('GELU has its limits', () => {
    const [y] = runKernel('Gelu', { x }, {});
    expect([...y].map((v) => v + 0)).toEqual([Infinity, NaN, NaN, expect.closeTo(1e20, -14), 0, 15, 0, 0]);
  });

  it('the gradient of GELU has its limits', () => {
    const [dx] = runKernel('GeluGrad', { dy, x }, {});
    expect([...dx].map((v) => v + 0)).toEqual([NaN, NaN, NaN, 2, 0, 2, 0, 1]);
  });

  it('the gradient of ReLU is 0 where y is not a number, and keeps the NaN of dy', () => {
    const y = { shape: [4], data: Float32Array.of(NaN, 1, -0, Infinity) };
    const slopes = { shape: [4], data: Float32Array.of(3, NaN, NaN, -Infinity) };
    expect([...runKernel('ReluGrad', { dy: slopes, y }, {})[0]]).toEqual([0, NaN, 0, -Infinity]);
  });
});
