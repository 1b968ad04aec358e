import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

const EPS = 1e-5;

interface Inputs {
  readonly dy: KernelInput;
  readonly x: KernelInput;
  readonly weight?: KernelInput;
  readonly bias?: KernelInput;
}

/** y, dx, dweight and dbias in double precision. */
function reference({ x, dy, weight, bias }: Inputs, width: number) {
  const result = {
    y: new Float64Array(x.data.length),
    dx: new Float64Array(x.data.length),
    dweight: new Float64Array(width),
    dbias: new Float64Array(width),
  };
  const columns = Array.from({ length: width }, (_, j) => j);
  const mean = (f: (j: number) => number) => columns.reduce((sum, j) => sum + f(j), 0) / width;
  for (let at = 0; at < x.data.length; at += width) {
    const centre = mean((j) => x.data[at + j]);
    const variance = mean((j) => (x.data[at + j] - centre) ** 2);
    const xhat = columns.map((j) => (x.data[at + j] - centre) / Math.sqrt(variance + EPS));
    const slopes = columns.map((j) => dy.data[at + j] * (weight?.data[j] ?? 1));
    const [plain, along] = [mean((j) => slopes[j]), mean((j) => slopes[j] * xhat[j])];
    for (const j of columns) {
      result.y[at + j] = xhat[j] * (weight?.data[j] ?? 1) + (bias?.data[j] ?? 0);
      result.dx[at + j] = (slopes[j] - plain - xhat[j] * along) / Math.sqrt(variance + EPS);
      result.dweight[j] += dy.data[at + j] * xhat[j];
      result.dbias[j] += dy.data[at + j];
    }
  }
  return result;
}

// The last size is more than one task.
describe.each([
  [1, 1],
  [3, 7],
  [5, 40],
  [0, 5],
  [401, 263],
])('layer norm of %i rows of %i elements', (rows, width) => {
  const shape = [rows, width];
  const affine = { weight: uniform([width], 3), bias: uniform([width], 4) };
  const inputs = { x: uniform(shape, 1, 0, 5), dy: uniform(shape, 2) };

  it.each([true, false])('has the right value and gradients if affine is %s', (isAffine) => {
    const given = isAffine ? { ...inputs, ...affine } : inputs;
    const wanted = reference(given, width);
    const { dy, ...forward } = given;
    const { bias: _, ...backward } = { bias: undefined, ...given };
    const [y] = runKernel('LayerNorm', forward, { eps: EPS, width });
    const [dx, dweight, dbias] = runKernel('LayerNormGrad', backward, { eps: EPS, width });
    expect(relativeError(y, wanted.y)).toBeLessThan(1e-6);
    expect(relativeError(dx, wanted.dx)).toBeLessThan(1e-6);
    expect(dweight !== undefined).toBe(isAffine);
    if (!isAffine) return;
    expect(relativeError(dweight, wanted.dweight)).toBeLessThan(1e-6);
    expect(relativeError(dbias, wanted.dbias)).toBeLessThan(1e-6);
  });

  it('has the same gradients on one thread, to the last bit', () => {
    const given = { ...inputs, weight: affine.weight };
    const [pool, single] = (['pool', 'single'] as const).map((threading) =>
      runKernel('LayerNormGrad', given, { eps: EPS, width }, threading),
    );
    for (const [i, result] of single.entries()) expect(Buffer.compare(bytes(result), bytes(pool[i]))).toBe(0);
  });
});

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

it('normalises the last two axes together', () => {
  const x = uniform([3, 4, 5], 1);
  const [y] = runKernel('LayerNorm', { x }, { eps: EPS, width: 20 });
  expect(relativeError(y, reference({ x, dy: x }, 20).y)).toBeLessThan(1e-6);
});

it('keeps the digits of small differences between large numbers', () => {
  const x = uniform([4, 50], 1, 10_000, 10_001);
  const [y] = runKernel('LayerNorm', { x }, { eps: EPS, width: 50 });
  expect(relativeError(y, reference({ x, dy: x }, 50).y)).toBeLessThan(1e-2);
});

it('gives NaN for a row with NaN or an infinity, and for no other', () => {
  const data = Float32Array.of(1, 2, 3, 1, NaN, 3, 1, Infinity, 3);
  const [y] = runKernel('LayerNorm', { x: { shape: [3, 3], data } }, { eps: EPS, width: 3 });
  expect([...y].map(Number.isNaN)).toEqual([...Array(3).fill(false), ...Array(6).fill(true)]);
});
