import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { type KernelInput, runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { conv3d, visitWindows } from '../../../engine_check/double_spatial.js';
import { sizeOf } from '../../../formats/host_tensor.js';
import { selectEngine } from '../../index.js';
import { countWindows, type Size3, type Windows } from '../../kernel_contract.js';
import { machineProbe } from '../../probe.js';
import { nativeLibrary } from './library.js';

// Without the library, other kernels compute the same, with other bounds.
const isMissing = 'missing' in nativeLibrary(machineProbe());

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});

interface Inputs {
  readonly x: KernelInput;
  readonly weight: KernelInput;
  readonly dy: KernelInput;
  readonly windows: Windows;
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

/** y, dx and dweight in double precision. */
const reference = ({ x, weight, dy, windows }: Inputs): Float64Array[] =>
  conv3d([x.data, weight.data], dy.data, { shape: x.shape, windows, outChannels: weight.shape[0] });

interface Sizes {
  /** [B, T, H, W, in] */
  readonly x: readonly number[];
  readonly out: number;
  readonly windows: Windows;
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
  visitWindows(inputs.x.shape, inputs.windows, (to, from, tap) => {
    if (from !== position) return;
    bad.add(to);
    for (let o = 0; o < 4; o++) expect(dweight[(o * 3 + 1) * sizeOf(kernel) + tap]).toBeNaN();
  });
  for (let at = 0; at < y.length; at++) expect(Number.isNaN(y[at])).toBe(bad.has(Math.floor(at / 4)));
});

const PADDED = windows([3, 3, 3], [1, 1, 1], [1, 1, 1]);

// Every set of kernels has these. With at least 32 channels, Winograd's filtering computes them in the native library, too.
describe.each([
  [[1, 1, 1, 1], 1, 1],
  [[2, 3, 5, 4], 5, 9],
  [[1, 2, 4, 6], 32, 48],
  [[2, 1, 3, 7], 17, 100],
  [[2, 1, 3, 7], 37, 100],
  // Several tasks, and tiles of more than one round of sums.
  [[1, 3, 41, 43], 3, 2],
  [[1, 3, 41, 43], 32, 32],
])('the convolution 3×3×3 of a map %j with %i channels in and %i out', (extents, I, O) => {
  const inputs = randomInputs({ x: [...extents, I], out: O, windows: PADDED });

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

// Winograd's filtering also spreads them over the tiles that the kernel meets.
it.each([
  [3, 4],
  [32, 33],
])(
  'has NaN wherever the kernel 3×3×3 covers an input that is NaN, and no finite number where it covers an infinity: %i channels in, %i out',
  (I, O) => {
    for (const value of [NaN, Infinity]) {
      const inputs = randomInputs({ x: [1, 5, 6, 5, I], out: O, windows: PADDED });
      const position = (2 * 6 + 3) * 5 + 2;
      inputs.x.data[position * I + 1] = value;
      const [y, , dweight] = run(inputs);
      const isBad = value > 0 ? (n: number) => !Number.isFinite(n) : Number.isNaN;
      visitWindows(inputs.x.shape, inputs.windows, (to, from, tap) => {
        if (from !== position) return;
        for (let o = 0; o < O; o++) {
          expect(isBad(y[to * O + o])).toBe(true);
          expect(isBad(dweight[(o * I + 1) * 27 + tap])).toBe(true);
        }
      });
      expect(y[0]).not.toBeNaN();
    }
  },
);

it.skipIf(isMissing)('keeps NaN through a ReLU', () => {
  const x = { shape: [1, 1, 1, 1, 1], data: Float32Array.of(NaN) };
  const weight = { shape: [1, 1, 1, 1, 1], data: Float32Array.of(1) };
  const [y] = runKernel('Conv3d', { x, weight }, { stride: [1, 1, 1], padding: [0, 0, 0], relu: true });
  expect(y[0]).toBeNaN();
});

// Without the library, ONNX Runtime leaves the sums undefined.
it.skipIf(isMissing).each([
  [3, 2, windows([1, 3, 3])],
  [3, 2, PADDED],
  [32, 32, PADDED],
])('has a gradient of zero for a map without clips: %i channels in, %i out, %j', (I, O, taps) => {
  const [y, dx, dweight] = run(randomInputs({ x: [0, 2, 3, 4, I], out: O, windows: taps }));
  expect([y.length, dx.length]).toEqual([0, 0]);
  expect([...dweight]).toEqual(Array(O * I * sizeOf(taps.kernel)).fill(0));
});
