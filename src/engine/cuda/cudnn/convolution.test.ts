import { describe, expect, it } from 'vitest';
import { type ConvolutionShape, convolutionGraph, outputSize } from './convolution.js';

const STEM: ConvolutionShape = {
  B: 2,
  I: 3,
  O: 64,
  size: [16, 255, 352],
  kernel: [5, 7, 7],
  stride: [1, 2, 2],
  padding: [2, 3, 3],
  type: 'bfloat16',
};

describe('convolutionGraph', () => {
  it('knows the size of the result', () => {
    expect(outputSize(STEM)).toEqual([16, 128, 176]);
    expect(outputSize({ ...STEM, kernel: [1, 3, 3], padding: [0, 0, 0] })).toEqual([16, 127, 175]);
  });

  it('reads maps with the channels last and weights with the channels first', () => {
    const { tensors } = convolutionGraph('forward', { ...STEM, size: [2, 4, 6], kernel: [1, 3, 3] });
    expect(tensors.map(({ dims, strides }) => ({ dims, strides }))).toEqual([
      { dims: [2, 3, 2, 4, 6], strides: [144, 1, 72, 18, 3] },
      { dims: [64, 3, 1, 3, 3], strides: [27, 9, 9, 3, 1] },
      { dims: [2, 64, 6, 4, 5], strides: [7680, 1, 1280, 320, 64] },
    ]);
  });
});
