/** @file The convolutions of the models, and their max pooling. */
import type { Size3, Windows } from '../../engine/kernel_contract.js';
import { sizeOf } from '../../formats/host_tensor.js';
import { conv3d } from '../../nn/conv3d.js';
import { maxPool3d } from '../../nn/max_pool3d.js';
import { conv1x1x1, convPatches, convTranspose1x2x2 } from '../../nn/spatial.js';
import { type Case, EXACT, type Family, floats, given, type Input } from '../case.js';
import { conv3d as doubleConv, maxPool3d as doubleMaxPool } from '../double_spatial.js';

const windows = (kernel: Size3, stride: Size3 = [1, 1, 1], padding: Size3 = [0, 0, 0]): Windows => ({
  kernel,
  stride,
  padding,
});

const windowsText = ({ kernel, stride }: Windows) =>
  kernel.join('×') + (stride.every((step) => step === 1) ? '' : `, stride ${stride.join('×')}`);

/** A convolution of a map [B, T, H, W]. */
export function conv(
  map: readonly [number, number, number, number],
  inChannels: number,
  outChannels: number,
  taps = windows([3, 3, 3], [1, 1, 1], [1, 1, 1]),
): Case {
  const { kernel, ...geometry } = taps;
  const shape = [...map, inChannels];
  return {
    name: `${windowsText(taps)}, ${inChannels} to ${outChannels} channels, [${map}]`,
    inputs: [floats(shape), floats([outChannels, inChannels, ...kernel])],
    gradients: [0, 1],
    compute: (x, weight) => conv3d(x, weight, geometry),
    expected: (inputs, dy) => doubleConv(inputs, dy, { shape, windows: taps, outChannels }),
  };
}

function pool(name: string, input: Input, taps: Windows): Case {
  return {
    name: `${windowsText(taps)}, ${name}`,
    inputs: [input],
    gradients: [0],
    compute: (x) => maxPool3d(x, taps),
    expected: ([x], dy) => doubleMaxPool(x, dy, { shape: input.shape, windows: taps }),
  };
}

/** Few different numbers, so that many windows hold equal ones. */
const equals = (shape: readonly number[]) =>
  given(
    Array.from({ length: sizeOf(shape) }, (_, i) => (i * i) % 7),
    shape,
  );

export const CONVOLUTIONS: Family = {
  name: 'convolutions',
  tolerance: { norm: 1e-5, largest: 2e-5 },
  reason: "Winograd's filtering keeps about 1e-6; half precision would give 3e-4",
  cases: [
    conv([1, 1, 1, 1], 3, 2),
    conv([2, 3, 5, 4], 3, 5),
    conv([1, 4, 9, 11], 17, 16),
    conv([2, 2, 6, 7], 32, 24),
    conv([2, 2, 6, 7], 33, 40),
    conv([1, 2, 9, 11], 33, 40, windows([1, 3, 3], [1, 1, 1], [0, 1, 1])),
    conv([2, 2, 7, 6], 5, 6, windows([1, 3, 3], [1, 2, 2], [0, 1, 1])),
    conv([1, 4, 5, 6], 12, 8, windows([3, 1, 1], [1, 1, 1], [1, 0, 0])),
    conv([1, 8, 3, 4], 5, 8, windows([7, 1, 1], [4, 1, 1], [3, 0, 0])),
    conv([1, 4, 12, 11], 3, 5, windows([5, 7, 7], [1, 2, 2], [2, 3, 3])),
    conv([2, 2, 5, 7], 9, 12, windows([1, 1, 1], [1, 2, 2])),
    {
      name: '1×3×3 with bias, residual and ReLU',
      inputs: [floats([1, 2, 5, 6, 32]), floats([34, 32, 1, 3, 3]), floats([34]), floats([1, 2, 5, 6, 34])],
      gradients: [0, 1, 2, 3],
      compute: (x, weight, bias, residual) =>
        conv3d(x, weight, { padding: [0, 1, 1], bias, residual, relu: true }),
    },
    {
      name: '1×1×1',
      inputs: [floats([2, 3, 5, 4, 7]), floats([6, 7, 1, 1, 1])],
      gradients: [0, 1],
      compute: conv1x1x1,
    },
    {
      name: 'patches of 2×4×4',
      inputs: [floats([2, 4, 8, 12, 3]), floats([10, 3, 2, 4, 4]), floats([10])],
      gradients: [0, 1, 2],
      compute: convPatches,
    },
    {
      name: 'transposed, 1×2×2',
      inputs: [floats([2, 3, 5, 4, 6]), floats([6, 3, 1, 2, 2]), floats([3])],
      gradients: [0, 1, 2],
      compute: convTranspose1x2x2,
    },
  ],
};

export const POOLING: Family = {
  name: 'max pooling',
  tolerance: EXACT,
  reason: 'elements are only moved',
  cases: [
    pool('even sizes', floats([2, 3, 6, 4, 5]), windows([1, 2, 2], [1, 2, 2])),
    pool('odd sizes, with equal numbers', equals([1, 2, 7, 5, 3]), windows([1, 2, 2], [1, 2, 2])),
    pool('frames', equals([2, 8, 3, 4, 5]), windows([4, 1, 1], [4, 1, 1])),
  ],
};

export const OVERLAPPING_POOLING: Family = {
  name: 'overlapping max pooling',
  tolerance: { norm: 1e-6, largest: 1e-6 },
  reason: 'the gradients of a few windows are added up',
  cases: [
    pool('different numbers', floats([1, 2, 9, 8, 6]), windows([1, 3, 3], [1, 2, 2], [0, 1, 1])),
    pool('equal numbers', equals([1, 2, 9, 8, 6]), windows([1, 3, 3], [1, 2, 2], [0, 1, 1])),
  ],
};
