import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

interface Inputs {
  readonly x: KernelInput;
  readonly weight: KernelInput;
  readonly dy: KernelInput;
}

type Threading = 'pool' | 'single';

/** y, dx and dweight as the kernels compute them. */
function run({ x, weight, dy }: Inputs, threading: Threading = 'pool'): Float32Array[] {
  return [
    ...runKernel('Conv3x3x3', { x, weight }, {}, threading),
    ...runKernel('Conv3x3x3GradInput', { dy, weight }, {}, threading),
    ...runKernel('Conv3x3x3GradFilter', { x, dy }, {}, threading),
  ];
}

/** Calls `visit` with the tap and the positions in x and y of all products. */
function visitProducts(
  [B, T, H, W]: readonly number[],
  visit: (tap: number, from: number, to: number) => void,
): void {
  const inside = (t: number, h: number, w: number) => t >= 0 && t < T && h >= 0 && h < H && w >= 0 && w < W;
  for (let to = 0; to < B * T * H * W; to++) {
    const [t, h, w] = [Math.floor(to / (H * W)) % T, Math.floor(to / W) % H, to % W];
    for (let tap = 0; tap < 27; tap++) {
      const [dt, dh, dw] = [Math.floor(tap / 9) - 1, (Math.floor(tap / 3) % 3) - 1, (tap % 3) - 1];
      if (inside(t + dt, h + dh, w + dw)) visit(tap, to + (dt * H + dh) * W + dw, to);
    }
  }
}

/** y, dx and dweight in double precision. */
function reference({ x, weight, dy }: Inputs): Float64Array[] {
  const [O, I] = weight.shape;
  const [y, dx, dweight] = [dy, x, weight].map(({ data }) => new Float64Array(data.length));
  visitProducts(x.shape, (tap, from, to) => {
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * 27 + tap;
        y[to * O + o] += x.data[from * I + i] * weight.data[at];
        dx[from * I + i] += dy.data[to * O + o] * weight.data[at];
        dweight[at] += dy.data[to * O + o] * x.data[from * I + i];
      }
  });
  return [y, dx, dweight];
}

function randomInputs(extents: readonly number[], I: number, O: number): Inputs {
  return {
    x: uniform([...extents, I], 1),
    weight: uniform([O, I, 3, 3, 3], 2),
    dy: uniform([...extents, O], 3),
  };
}

describe.each([
  [[1, 1, 1, 1], 1, 1],
  [[2, 3, 5, 4], 5, 9],
  [[1, 2, 4, 6], 32, 48],
  [[2, 1, 3, 7], 17, 100],
  // Several tasks, and tiles of more than one round of sums.
  [[1, 3, 41, 43], 3, 2],
])('the convolution of a map %j with %i channels in and %i out', (extents, I, O) => {
  const inputs = randomInputs(extents, I, O);

  it('has the right value and gradients', () => {
    const wanted = reference(inputs);
    for (const [k, numbers] of run(inputs).entries())
      expect(relativeError(numbers, wanted[k])).toBeLessThan(1e-6);
  });

  it('has the same numbers on one thread, to the last bit', () => {
    const single = run(inputs, 'single');
    for (const [k, { buffer }] of run(inputs).entries())
      expect(Buffer.from(buffer).equals(Buffer.from(single[k].buffer))).toBe(true);
  });
});

it('has NaN wherever the kernel covers an input that is NaN, and no finite number where it covers an infinity', () => {
  const extents = [1, 5, 6, 5];
  for (const value of [NaN, Infinity]) {
    const { x, weight, dy } = randomInputs(extents, 3, 4);
    const position = (2 * 6 + 3) * 5 + 2;
    x.data[position * 3 + 1] = value;
    const [y, , dweight] = run({ x, weight, dy });
    const isBad = value > 0 ? (n: number) => !Number.isFinite(n) : Number.isNaN;
    visitProducts(extents, (tap, from, to) => {
      if (from !== position) return;
      for (let o = 0; o < 4; o++) {
        expect(isBad(y[to * 4 + o])).toBe(true);
        expect(isBad(dweight[(o * 3 + 1) * 27 + tap])).toBe(true);
      }
    });
    expect(y[0]).not.toBeNaN();
  }
});

// Without the library, ONNX Runtime leaves the sums undefined.
it.skipIf('missing' in nativeLibrary(machineProbe()))('has a gradient of zero for an empty map', () => {
  const [y, dx, dweight] = run(randomInputs([0, 2, 3, 4], 3, 2));
  expect([y.length, dx.length]).toEqual([0, 0]);
  expect([...dweight]).toEqual(Array(2 * 3 * 27).fill(0));
});
