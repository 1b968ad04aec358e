import { describe, expect, it } from 'vitest';
import { assumedPlan } from './assumed_plan.js';
import type { ConvolutionShape } from './convolution.js';
import type { ConvolutionPass } from './graph.js';

const SHAPE: ConvolutionShape = {
  B: 2,
  I: 64,
  O: 128,
  size: [8, 32, 40],
  kernel: [1, 3, 3],
  stride: [1, 2, 2],
  padding: [0, 1, 1],
  type: 'bfloat16',
};

describe('the assumed workspace of a convolution', () => {
  const bytesOf = (pass: ConvolutionPass, shape: Partial<ConvolutionShape> = {}) =>
    assumedPlan({ kind: 'convolution', pass, shape: { ...SHAPE, ...shape }, isDeterministic: true }).plan
      .workspaceBytes;
  const weight = 128 * 64 * 9;
  const maps = 2 * 8 * (32 * 40 * 64 + 16 * 20 * 128);

  it('holds the weight, or in float32 the maps that a pass reads and writes', () => {
    for (const pass of ['forward', 'data', 'filter'] as const) expect(bytesOf(pass)).toBe(2 * weight);
    for (const pass of ['forward', 'data'] as const)
      expect(bytesOf(pass, { type: 'float32' })).toBe(4 * maps);
    expect(bytesOf('filter', { type: 'float32' })).toBe(4 * weight);
  });

  it('holds no maps that take more than a plan may', () => {
    expect(bytesOf('forward', { type: 'float32', B: 200 })).toBe(0);
  });
});
