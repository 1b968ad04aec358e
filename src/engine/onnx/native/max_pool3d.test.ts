import { beforeAll, describe, expect, it } from 'vitest';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import type { PoolAttributes } from '../../kernel_contract.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';
import { countWindows } from './windows.js';

// Without the library, the engine does not have these kernels.
const isMissing = 'missing' in nativeLibrary(machineProbe());

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

/** The index in x of the first maximum of each window. */
function firstMaxima(
  [B, T, H, W, C]: readonly number[],
  x: ArrayLike<number>,
  pool: PoolAttributes,
): number[] {
  const { kernel, stride, padding } = pool;
  const [t, h, w] = countWindows([B, T, H, W, C], pool);
  return Array.from({ length: B * t * h * w * C }, (_, n) => {
    const b = Math.floor(n / (C * w * h * t));
    const begin = [Math.floor(n / (C * w * h)) % t, Math.floor(n / (C * w)) % h, Math.floor(n / C) % w].map(
      (place, i) => place * stride[i] - padding[i],
    );
    let best = -1;
    for (let i = begin[0]; i < begin[0] + kernel[0]; i++)
      for (let j = begin[1]; j < begin[1] + kernel[1]; j++)
        for (let k = begin[2]; k < begin[2] + kernel[2]; k++) {
          if (i < 0 || j < 0 || k < 0 || i >= T || j >= H || k >= W) continue;
          const at = (((b * T + i) * H + j) * W + k) * C + (n % C);
          if (best < 0 || x[at] > x[best]) best = at;
        }
    return best;
  });
}

// The last two are more than one task, which share windows.
describe.skipIf(isMissing).each<[number[], PoolAttributes]>([
  [[2, 2, 7, 5, 3], { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] }],
  [[1, 8, 2, 3, 32], { kernel: [4, 1, 1], stride: [4, 1, 1], padding: [0, 0, 0] }],
  [[1, 5, 7, 8, 9], { kernel: [1, 2, 1], stride: [2, 3, 3], padding: [0, 0, 0] }],
  [[1, 2, 41, 53, 65], { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] }],
  [[1, 7, 35, 37, 20], { kernel: [3, 4, 2], stride: [2, 1, 1], padding: [1, 2, 1] }],
])('maxima of a map %j over windows %j', (shape, pool) => {
  // Few different values, so that many windows hold equal ones; all negative, so that padding would show.
  const noise = uniform(shape, 1, -4, 0);
  const x = { shape, data: Float32Array.from(noise.data, (value) => Math.floor(value)) };
  const first = firstMaxima(shape, x.data, pool);
  const maxima = first.map((at) => x.data[at]);

  it('are right', () => {
    expect([...runKernel('MaxPool3d', { x }, pool)[0]]).toEqual(maxima);
  });

  it('give the gradient to the first of them', () => {
    const y = {
      shape: [shape[0], ...countWindows(shape, pool), shape[4]],
      data: Float32Array.from(maxima),
    };
    const dy = uniform(y.shape, 2);
    // Sums of few numbers with few digits are exact.
    for (const [i, slope] of dy.data.entries()) dy.data[i] = Math.round(slope * 256) / 256;
    const wanted = new Float32Array(x.data.length);
    for (const [i, at] of first.entries()) wanted[at] += dy.data[i];
    const [dx] = runKernel('MaxPool3dGrad', { dy, x, y }, pool);
    expect(Buffer.from(dx.buffer).equals(Buffer.from(wanted.buffer))).toBe(true);
  });
});

it.skipIf(isMissing)('gives NaN for a window with NaN, which gets the gradient', () => {
  const pool: PoolAttributes = { kernel: [1, 1, 3], stride: [1, 1, 3], padding: [0, 0, 0] };
  const x = { shape: [1, 1, 1, 6, 1], data: Float32Array.of(1, NaN, 3, 4, 5, 6) };
  const [data] = runKernel('MaxPool3d', { x }, pool);
  expect([...data]).toEqual([NaN, 6]);
  const shape = [1, 1, 1, 2, 1];
  const dy = { shape, data: Float32Array.of(7, 8) };
  const [dx] = runKernel('MaxPool3dGrad', { dy, x, y: { shape, data } }, pool);
  expect([...dx]).toEqual([0, 7, 0, 0, 0, 8]);
});
