import { beforeAll, describe, expect, it } from 'vitest';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { maxPool3d } from '../../../engine_check/double_spatial.js';
import { selectEngine } from '../../index.js';
import { countWindows, type Windows } from '../../kernel_contract.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';

// Without the library, the engine does not have these kernels.
const isMissing = 'missing' in nativeLibrary(machineProbe());

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

// The last two are more than one task, which share windows.
describe.skipIf(isMissing).each<[number[], Windows]>([
  [[2, 2, 7, 5, 3], { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] }],
  [[1, 8, 2, 3, 32], { kernel: [4, 1, 1], stride: [4, 1, 1], padding: [0, 0, 0] }],
  [[1, 5, 7, 8, 9], { kernel: [1, 2, 1], stride: [2, 3, 3], padding: [0, 0, 0] }],
  [[1, 2, 41, 53, 65], { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] }],
  [[1, 7, 35, 37, 20], { kernel: [3, 4, 2], stride: [2, 1, 1], padding: [1, 2, 1] }],
])('maxima of a map %j over windows %j', (shape, pool) => {
  // Few different values, so that many windows hold equal ones; all negative, so that padding would show.
  const noise = uniform(shape, 1, -4, 0);
  const x = { shape, data: Float32Array.from(noise.data, (value) => Math.floor(value)) };
  const dy = uniform([shape[0], ...countWindows(shape, pool), shape[4]], 2);
  // Sums of few numbers with few digits are exact.
  for (const [i, slope] of dy.data.entries()) dy.data[i] = Math.round(slope * 256) / 256;
  const [maxima, gradient] = maxPool3d(x.data, dy.data, { shape, windows: pool });

  it('are right', () => {
    expect([...runKernel('MaxPool3d', { x }, pool)[0]]).toEqual([...maxima]);
  });

  it('give the gradient to the first of them', () => {
    const y = { shape: dy.shape, data: Float32Array.from(maxima) };
    const wanted = Float32Array.from(gradient);
    const [dx] = runKernel('MaxPool3dGrad', { dy, x, y }, pool);
    expect(Buffer.from(dx.buffer).equals(Buffer.from(wanted.buffer))).toBe(true);
  });
});

it.skipIf(isMissing)('gives NaN for a window with NaN, which gets the gradient', () => {
  const pool: Windows = { kernel: [1, 1, 3], stride: [1, 1, 3], padding: [0, 0, 0] };
  const x = { shape: [1, 1, 1, 6, 1], data: Float32Array.of(1, NaN, 3, 4, 5, 6) };
  const [data] = runKernel('MaxPool3d', { x }, pool);
  expect([...data]).toEqual([NaN, 6]);
  const shape = [1, 1, 1, 2, 1];
  const dy = { shape, data: Float32Array.of(7, 8) };
  const [dx] = runKernel('MaxPool3dGrad', { dy, x, y: { shape, data } }, pool);
  expect([...dx]).toEqual([0, 7, 0, 0, 0, 8]);
});
