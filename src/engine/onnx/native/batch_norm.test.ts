import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { batchNorm, columnStatistics } from '../../../engine_check/double.js';
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

const NO_SLOPES = new Float64Array();

function normalised({ x, weight, bias, residual }: Inputs, relu: boolean): Float64Array {
  const [y] = batchNorm({ x: x.data, weight: weight.data, bias: bias.data, dy: NO_SLOPES, eps: EPS });
  const sum = y.map((value, i) => value + (residual?.data[i] ?? 0));
  return relu ? sum.map((value) => Math.max(0, value)) : sum;
}

/** dx, dweight and dbias in double precision. */
function gradients({ x, weight, bias }: Inputs, dy: ArrayLike<number>): Float64Array[] {
  return batchNorm({ x: x.data, weight: weight.data, bias: bias.data, dy, eps: EPS }).slice(1);
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
    const wanted = columnStatistics(inputs.x.data, C);
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
  const [mean, variance] = vectors.map((vector) => ({ shape: [8], data: vector }));
  const dy = uniform(x.shape, 5);
  const [dx] = runKernel('BatchNormGrad', { dy, x, weight, mean, variance }, { eps: EPS });
  const [y, gradient] = batchNorm({
    x: x.data,
    weight: weight.data,
    bias: bias.data,
    dy: dy.data,
    eps: EPS,
  });
  expect(relativeError(data, y)).toBeLessThan(2e-6);
  expect(relativeError(dx, gradient)).toBeLessThan(1e-5);
});

it.skipIf(isMissing)('keeps the digits of small differences between large numbers', () => {
  const inputs = randomInputs([1, 2, 64, 80], 16);
  const x = uniform(inputs.x.shape, 1, 10_000, 10_001);
  const [, mean, variance] = runKernel('BatchNorm', { ...inputs, x }, { eps: EPS, relu: false });
  const wanted = columnStatistics(x.data, 16);
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
