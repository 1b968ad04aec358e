import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';

// Without the library, the engine does not have these kernels.
const isMissing = 'missing' in nativeLibrary(machineProbe());

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

const EPS = 1e-5;

interface Inputs {
  readonly x: KernelInput;
  readonly weight: KernelInput;
  readonly bias: KernelInput;
  readonly residual?: KernelInput;
}

/** Mean and biased variance of each channel, in double precision. */
function statistics({ data, shape }: KernelInput) {
  const C = shape[shape.length - 1];
  const [mean, variance] = [new Float64Array(C), new Float64Array(C)];
  const count = data.length / C;
  for (const [i, x] of data.entries()) mean[i % C] += x / count;
  for (const [i, x] of data.entries()) variance[i % C] += (x - mean[i % C]) ** 2 / count;
  return { mean, variance };
}

function normalised({ x, weight, bias, residual }: Inputs, relu: boolean): Float64Array {
  const C = weight.data.length;
  const { mean, variance } = statistics(x);
  return Float64Array.from(x.data, (value, i) => {
    const c = i % C;
    const normal = ((value - mean[c]) / Math.sqrt(variance[c] + EPS)) * weight.data[c] + bias.data[c];
    const y = normal + (residual?.data[i] ?? 0);
    return relu ? Math.max(0, y) : y;
  });
}

/** dx, dweight and dbias in double precision. */
function gradients({ x, weight }: Inputs, slopes: Float64Array): Float64Array[] {
  const C = weight.data.length;
  const count = x.data.length / C;
  const { mean, variance } = statistics(x);
  const rstd = variance.map((v) => 1 / Math.sqrt(v + EPS));
  const [dweight, dbias] = [new Float64Array(C), new Float64Array(C)];
  const normal = Float64Array.from(x.data, (value, i) => (value - mean[i % C]) * rstd[i % C]);
  for (const [i, slope] of slopes.entries()) {
    dweight[i % C] += slope * normal[i];
    dbias[i % C] += slope;
  }
  const dx = slopes.map((slope, i) => {
    const c = i % C;
    return (slope - dbias[c] / count - (normal[i] * dweight[c]) / count) * weight.data[c] * rstd[c];
  });
  return [dx, dweight, dbias];
}

function randomInputs(positions: readonly number[], C: number): Inputs {
  const shape = [...positions, C];
  return {
    x: uniform(shape, 1, -1, 5),
    weight: uniform([C], 2),
    bias: uniform([C], 3),
    residual: uniform(shape, 4),
  };
}

// Of one block and of several, with rows of one position and of several, which do not fill the last row.
describe.skipIf(isMissing).each([
  [[1, 1, 1, 2], 1],
  [[2, 2, 3, 3], 3],
  [[1, 2, 5, 7], 80],
  [[1, 1, 1, 3], 2048],
  [[1, 4, 61, 67], 16],
  [[1, 3, 37, 41], 100],
])('batch norm of positions %j with %i channels', (positions, C) => {
  const { residual, ...plain } = randomInputs(positions, C);
  const forward = (inputs: Inputs, relu: boolean) => runKernel('BatchNorm', inputs, { eps: EPS, relu });

  it.each([
    ['alone', false, false],
    ['with a residual', true, false],
    ['with a ReLU', false, true],
    ['with both', true, true],
  ])('has the right values %s', (_, hasResidual, relu) => {
    const inputs = hasResidual ? { ...plain, residual } : plain;
    const [y, mean, variance] = forward(inputs, relu);
    const wanted = statistics(inputs.x);
    expect(relativeError(mean, wanted.mean)).toBeLessThan(1e-6);
    expect(relativeError(variance, wanted.variance)).toBeLessThan(1e-6);
    expect(relativeError(y, normalised(inputs, relu))).toBeLessThan(2e-6);
  });

  it.each([false, true])('has the right gradients if a ReLU follows: %s', (relu) => {
    const [y, mean, variance] = forward(plain, relu).map((data, i) => ({
      shape: i === 0 ? plain.x.shape : [C],
      data,
    }));
    const dy = uniform(plain.x.shape, 5);
    const inputs = { dy, x: plain.x, weight: plain.weight, mean, variance, y: relu ? y : undefined };
    const slopes = Float64Array.from(dy.data, (slope, i) => (relu && y.data[i] <= 0 ? 0 : slope));
    const results = runKernel('BatchNormGrad', inputs, { eps: EPS });
    const wanted = gradients(plain, slopes);
    // Of two values for each channel, dx is all rounding.
    if (positions.some((n) => n > 2)) expect(relativeError(results[0], wanted[0])).toBeLessThan(1e-5);
    for (const i of [1, 2]) expect(relativeError(results[i], wanted[i])).toBeLessThan(5e-6);
    const single = runKernel('BatchNormGrad', inputs, { eps: EPS }, 'single');
    for (const [i, result] of results.entries()) expect(bytes(single[i]).equals(bytes(result))).toBe(true);
  });

  it('has the same values on one thread, to the last bit', () => {
    const results = forward(plain, true);
    const single = runKernel('BatchNorm', plain, { eps: EPS, relu: true }, 'single');
    for (const [i, result] of results.entries()) expect(bytes(single[i]).equals(bytes(result))).toBe(true);
  });
});

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

// Such results are streamed past the caches.
it.skipIf(isMissing)('has the right value and gradient for a very large map', () => {
  const { x, weight, bias } = randomInputs([1, 4, 257, 511], 8);
  const [data, ...vectors] = runKernel('BatchNorm', { x, weight, bias }, { eps: EPS, relu: false });
  expect(relativeError(data, normalised({ x, weight, bias }, false))).toBeLessThan(2e-6);
  const [mean, variance] = vectors.map((vector) => ({ shape: [8], data: vector }));
  const dy = uniform(x.shape, 5);
  const [dx] = runKernel('BatchNormGrad', { dy, x, weight, mean, variance }, { eps: EPS });
  const [wanted] = gradients({ x, weight, bias }, Float64Array.from(dy.data));
  expect(relativeError(dx, wanted)).toBeLessThan(1e-5);
});

it.skipIf(isMissing)('keeps the digits of small differences between large numbers', () => {
  const inputs = randomInputs([1, 2, 64, 80], 16);
  const x = uniform(inputs.x.shape, 1, 10_000, 10_001);
  const [, mean, variance] = runKernel('BatchNorm', { ...inputs, x }, { eps: EPS, relu: false });
  const wanted = statistics(x);
  expect(relativeError(mean, wanted.mean)).toBeLessThan(1e-7);
  expect(relativeError(variance, wanted.variance)).toBeLessThan(1e-5);
});

it.skipIf(isMissing)('gives NaN for a channel with NaN or an infinity, and for no other', () => {
  const { x, weight, bias } = randomInputs([1, 1, 2, 3], 3);
  x.data[4] = NaN;
  x.data[8] = Infinity;
  const [y, , variance] = runKernel('BatchNorm', { x, weight, bias }, { eps: EPS, relu: true });
  expect([...variance].map(Number.isNaN)).toEqual([false, true, true]);
  for (const [i, value] of y.entries()) expect(Number.isNaN(value)).toBe(i % 3 > 0);
});
