/** @file The frames of the slow pathway. */
import { describe, expect, it } from 'vitest';
import { slowFrames } from './pathways.js';

describe('slowFrames', () => {
  it.each([
    [32, 4, [0, 4, 8, 13, 17, 22, 26, 31]],
    [8, 2, [0, 2, 4, 7]],
    [8, 8, [0]],
    [4, 8, []],
    [5, 1, [0, 1, 2, 3, 4]],
  ])('takes of %i frames one of every %i', (frames, alpha, expected) => {
    expect(slowFrames(frames, alpha)).toEqual(expected);
  });

  it('counts in float32, as torch.linspace does', () => {
    // In exact arithmetic, the twelfth would be frame 47.
    expect(slowFrames(95, 4)[11]).toBe(46);
  });
});
