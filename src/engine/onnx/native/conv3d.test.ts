import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { sizeOf } from '../../../formats/host_tensor.js';
import { selectEngine } from '../../index.js';
import type { Size3 } from '../../kernel_contract.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';
import { countWindows, type WindowAttributes } from './windows.js';

// Without the library, the engine does not have these kernels.
const isMissing = 'missing' in nativeLibrary(machineProbe());

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

interface Inputs {
  readonly x: KernelInput;
  readonly weight: KernelInput;
  readonly dy: KernelInput;
  readonly windows: WindowAttributes;
}

type Threading = 'pool' | 'single';

/** y, dx and dweight as the kernels compute them. */
function run({ x, weight, dy, windows }: Inputs, threading: Threading = 'pool'): Float32Array[] {
  const { kernel, ...geometry } = windows;
  return [
    ...runKernel('Conv3d', { x, weight }, { ...geometry, relu: false }, threading),
    ...runKernel('Conv3dGradInput', { dy, weight }, { ...geometry, shape: x.shape }, threading),
    ...runKernel('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }, threading),
  ];
}

/** The place along three axes of each index. */
function* places(extents: readonly number[]): Generator<Size3> {
  for (let t = 0; t < extents[0]; t++)
    for (let h = 0; h < extents[1]; h++) for (let w = 0; w < extents[2]; w++) yield [t, h, w];
}

const placeIn = (extents: readonly number[], b: number, [t, h, w]: Size3) =>
  ((b * extents[0] + t) * extents[1] + h) * extents[2] + w;

/** Calls `visit` with the tap and the positions in x and y of all products. */
function visitProducts({ x, windows }: Inputs, visit: (tap: number, from: number, to: number) => void): void {
  const [B, ...extents] = x.shape.slice(0, 4);
  const { kernel, stride, padding } = windows;
  const counts = countWindows(x.shape, windows);
  for (let b = 0; b < B; b++)
    for (const to of places(counts)) {
      let tap = -1;
      for (const offset of places(kernel)) {
        tap++;
        const from = to.map((place, i) => place * stride[i] - padding[i] + offset[i]) as unknown as Size3;
        if (from.some((place, i) => place < 0 || place >= extents[i])) continue;
        visit(tap, placeIn(extents, b, from), placeIn(counts, b, to));
      }
    }
}

/** y, dx and dweight in double precision. */
function reference(inputs: Inputs): Float64Array[] {
  const { x, weight, dy } = inputs;
  const [O, I, ...kernel] = weight.shape;
  const taps = sizeOf(kernel);
  const [y, dx, dweight] = [dy, x, weight].map(({ data }) => new Float64Array(data.length));
  visitProducts(inputs, (tap, from, to) => {
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * taps + tap;
        y[to * O + o] += x.data[from * I + i] * weight.data[at];
        dx[from * I + i] += dy.data[to * O + o] * weight.data[at];
        dweight[at] += dy.data[to * O + o] * x.data[from * I + i];
      }
  });
  return [y, dx, dweight];
}

interface Sizes {
  /** [B, T, H, W, in] */
  readonly x: readonly number[];
  readonly out: number;
  readonly windows: WindowAttributes;
}

function randomInputs({ x, out, windows }: Sizes): Inputs {
  return {
    x: uniform(x, 1),
    weight: uniform([out, x[4], ...windows.kernel], 2),
    dy: uniform([x[0], ...countWindows(x, windows), out], 3),
    windows,
  };
}

const windows = (kernel: Size3, stride: Size3 = [1, 1, 1], padding: Size3 = [0, 0, 0]) => ({
  kernel,
  stride,
  padding,
});

const CASES: readonly [string, Sizes][] = [
  ['1×1×1', { x: [2, 2, 3, 5, 16], out: 32, windows: windows([1, 1, 1]) }],
  ['1×1×1 with padding', { x: [2, 2, 3, 2, 3], out: 4, windows: windows([1, 1, 1], [1, 1, 1], [1, 2, 1]) }],
  ['1×1×1, stride 2', { x: [1, 2, 5, 4, 3], out: 8, windows: windows([1, 1, 1], [1, 2, 2]) }],
  ['1×3×3', { x: [1, 2, 9, 11, 20], out: 24, windows: windows([1, 3, 3], [1, 1, 1], [0, 1, 1]) }],
  // With at least 32 channels, Winograd's filtering computes these.
  ['1×3×3, 64 channels', { x: [2, 1, 7, 9, 64], out: 64, windows: windows([1, 3, 3], [1, 1, 1], [0, 1, 1]) }],
  [
    '1×3×3, odd extents',
    { x: [1, 2, 35, 53, 33], out: 40, windows: windows([1, 3, 3], [1, 1, 1], [0, 1, 1]) },
  ],
  [
    '1×3×3, many filters',
    { x: [1, 1, 5, 3, 32], out: 300, windows: windows([1, 3, 3], [1, 1, 1], [0, 1, 1]) },
  ],
  ['3×3×3', { x: [1, 3, 5, 4, 32], out: 33, windows: windows([3, 3, 3], [1, 1, 1], [1, 1, 1]) }],
  ['1×3×3, stride 2', { x: [1, 2, 6, 7, 20], out: 30, windows: windows([1, 3, 3], [1, 2, 2], [0, 1, 1]) }],
  ['3×1×1', { x: [2, 4, 2, 3, 80], out: 33, windows: windows([3, 1, 1], [1, 1, 1], [1, 0, 0]) }],
  ['3×1×1 of one frame', { x: [1, 1, 2, 3, 3], out: 2, windows: windows([3, 1, 1], [1, 1, 1], [1, 0, 0]) }],
  ['7×1×1, stride 4', { x: [1, 9, 5, 2, 32], out: 64, windows: windows([7, 1, 1], [4, 1, 1], [3, 0, 0]) }],
  ['5×7×7, stride 2', { x: [1, 4, 9, 8, 3], out: 8, windows: windows([5, 7, 7], [1, 2, 2], [2, 3, 3]) }],
  ['a stride beyond the kernel', { x: [1, 4, 8, 7, 1], out: 9, windows: windows([1, 2, 2], [2, 3, 3]) }],
  // More than one block of summands: of many channels, and of many lines.
  ['of 700 channels', { x: [1, 2, 3, 5, 700], out: 40, windows: windows([1, 1, 1]) }],
  ['of 63 lines', { x: [1, 1, 23, 4, 2], out: 7, windows: windows([3, 31, 1], [1, 1, 1], [1, 10, 0]) }],
  // Several tasks with several blocks of positions.
  ['of a large map', { x: [1, 2, 64, 80, 3], out: 4, windows: windows([1, 1, 3], [1, 1, 1], [0, 0, 1]) }],
  // A result that is streamed past the caches.
  ['of a very large map', { x: [1, 4, 257, 511, 1], out: 8, windows: windows([1, 1, 1]) }],
  ['to 600 channels', { x: [1, 1, 3, 4, 5], out: 600, windows: windows([1, 2, 2]) }],
];

describe.skipIf(isMissing).each(CASES)('the convolution %s', (_, sizes) => {
  const inputs = randomInputs(sizes);

  it('has the right value and gradients', () => {
    const wanted = reference(inputs);
    for (const [k, numbers] of run(inputs).entries())
      expect(relativeError(numbers, wanted[k])).toBeLessThan(2e-6);
  });

  it('has the same numbers on one thread, to the last bit', () => {
    const single = run(inputs, 'single');
    for (const [k, { buffer }] of run(inputs).entries())
      expect(Buffer.from(buffer).equals(Buffer.from(single[k].buffer))).toBe(true);
  });
});

// With 33 channels, the last vector of a row is not full; with 700 in, the sums are stored in between.
describe.skipIf(isMissing).each<[number, number, Size3]>([
  [16, 32, [1, 1, 1]],
  [5, 8, [1, 1, 1]],
  [700, 33, [1, 1, 1]],
  [32, 33, [1, 3, 3]],
  [32, 34, [3, 3, 3]],
])('a convolution with %i channels in, %i out and a kernel %j', (I, O, kernel) => {
  const padding = kernel.map((size) => (size - 1) / 2) as unknown as Size3;
  const sizes = { x: [1, 2, 3, 5, I], out: O, windows: windows(kernel, [1, 1, 1], padding) };
  const { x, weight, dy } = randomInputs(sizes);
  const [y] = reference({ x, weight, dy, windows: sizes.windows });
  const [bias, residual] = [uniform([O], 4), uniform(dy.shape, 5)];

  it.each([
    ['a bias', true, false, false],
    ['a residual', false, true, false],
    ['a ReLU', false, false, true],
    ['all of them', true, true, true],
  ])('can end with %s', (_, hasBias, hasResidual, relu) => {
    const inputs = {
      x,
      weight,
      bias: hasBias ? bias : undefined,
      residual: hasResidual ? residual : undefined,
    };
    const [numbers] = runKernel('Conv3d', inputs, { stride: [1, 1, 1], padding, relu });
    const wanted = y.map((sum, i) => {
      const whole = sum + (hasBias ? bias.data[i % O] : 0) + (hasResidual ? residual.data[i] : 0);
      return relu ? Math.max(0, whole) : whole;
    });
    expect(relativeError(numbers, wanted)).toBeLessThan(2e-6);
  });
});

it.skipIf(isMissing).each([
  ['of a line', [1, 3, 3] as const, [0, 1, 1] as const],
  ['of frames', [3, 1, 1] as const, [1, 0, 0] as const],
])('has NaN where the kernel %s covers an input that is NaN, and nowhere else', (_, kernel, padding) => {
  const inputs = randomInputs({ x: [1, 3, 5, 6, 3], out: 4, windows: windows(kernel, [1, 1, 1], padding) });
  const position = (1 * 5 + 2) * 6 + 3;
  inputs.x.data[position * 3 + 1] = NaN;
  const [y, , dweight] = run(inputs);
  const bad = new Set<number>();
  visitProducts(inputs, (tap, from, to) => {
    if (from !== position) return;
    bad.add(to);
    for (let o = 0; o < 4; o++) expect(dweight[(o * 3 + 1) * sizeOf(kernel) + tap]).toBeNaN();
  });
  for (let at = 0; at < y.length; at++) expect(Number.isNaN(y[at])).toBe(bad.has(Math.floor(at / 4)));
});

it.skipIf(isMissing)('keeps NaN through a ReLU', () => {
  const x = { shape: [1, 1, 1, 1, 1], data: Float32Array.of(NaN) };
  const weight = { shape: [1, 1, 1, 1, 1], data: Float32Array.of(1) };
  const [y] = runKernel('Conv3d', { x, weight }, { stride: [1, 1, 1], padding: [0, 0, 0], relu: true });
  expect(y[0]).toBeNaN();
});

it.skipIf(isMissing)('has a gradient of zero for a map without clips', () => {
  const [y, dx, dweight] = run(randomInputs({ x: [0, 2, 3, 4, 3], out: 2, windows: windows([1, 3, 3]) }));
  expect([y.length, dx.length]).toEqual([0, 0]);
  expect([...dweight]).toEqual(Array(2 * 3 * 9).fill(0));
});
