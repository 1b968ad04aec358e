/** @file The convolutions of the model, and its max pooling. */
import { conv1x1x1, conv3x3x3, convPatches, convTranspose1x2x2, maxPool1x2x2 } from '../../nn/spatial.js';
import { type Case, EXACT, type Family, floats } from '../case.js';
import { type ConvSizes, conv3x3x3 as doubleConv } from '../double_spatial.js';

export function conv(map: ConvSizes['map'], inChannels: number, outChannels: number): Case {
  return {
    name: `3×3×3, ${inChannels} to ${outChannels} channels, [${map}]`,
    inputs: [floats([...map, inChannels]), floats([outChannels, inChannels, 3, 3, 3])],
    gradients: [0, 1],
    compute: conv3x3x3,
    expected: (inputs, dy) => doubleConv(inputs, dy, { map, inChannels, outChannels }),
  };
}

export const CONVOLUTIONS: Family = {
  name: 'convolutions',
  tolerance: { norm: 1e-5, largest: 2e-5 },
  reason: "Winograd's filtering keeps about 1e-6; half precision would give 3e-4",
  cases: [
    conv([1, 1, 1, 1], 3, 2),
    conv([2, 3, 5, 4], 3, 5),
    conv([1, 4, 9, 11], 17, 16),
    conv([2, 2, 6, 7], 32, 24),
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
    {
      name: '1×2×2',
      inputs: [floats([2, 3, 6, 4, 5])],
      gradients: [0],
      compute: maxPool1x2x2,
    },
    {
      name: '1×2×2 of odd sizes, with equal numbers',
      inputs: [floats([1, 2, 7, 5, 3])],
      gradients: [0],
      compute: (x) => maxPool1x2x2(x.relu()),
    },
  ],
};
