/** @file Tests of the samplers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SequentialSampler, TrainSampler } from './sampler.js';

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('TrainSampler', () => {
  const setting = fc
    .integer({ min: 1, max: 12 })
    .chain((size) =>
      fc.record({ size: fc.constant(size), length: fc.integer({ min: size, max: 60 }), seed: fc.nat() }),
    );

  it('visits every clip at most once per pass, all but an incomplete last batch', () => {
    fc.assert(
      fc.property(setting, ({ size, length, seed }) => {
        const perPass = Math.floor(length / size);
        const sampler = new TrainSampler(length, size, 3 * perPass, seed);
        for (let pass = 0; pass < 3; pass++) {
          const seen = range(perPass).flatMap((i) => sampler.batch(pass * perPass + i));
          expect(seen).toHaveLength(perPass * size);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.every((index) => index >= 0 && index < length)).toBe(true);
        }
      }),
    );
  });

  it('continues at any batch as if it had come from the start', () => {
    fc.assert(
      fc.property(setting, fc.nat(40), ({ size, length, seed }, start) => {
        const whole = new TrainSampler(length, size, 100, seed);
        const before = range(start + 10).map((i) => whole.batch(i));
        const resumed = new TrainSampler(length, size, 100, seed);
        expect(range(10).map((i) => resumed.batch(start + i))).toEqual(before.slice(start));
      }),
    );
  });

  it('shuffles differently in every pass and for every seed, and reaches clips that an earlier pass left out', () => {
    const sampler = new TrainSampler(50, 8, 600, 3);
    const pass = (number: number) => range(6).flatMap((i) => sampler.batch(number * 6 + i));
    expect(pass(0)).not.toEqual(pass(1));
    expect(pass(0)).not.toEqual([...pass(0)].sort((a, b) => a - b));
    expect(new TrainSampler(50, 8, 600, 4).batch(0)).not.toEqual(sampler.batch(0));
    expect(new Set(range(10).flatMap(pass)).size).toBe(50);
  });

  it('refuses data smaller than a batch, with the numbers and the remedy', () => {
    expect(() => new TrainSampler(3, 8, 100, 0)).toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: expect.stringMatching(
          /has 3 key frames, fewer than one batch of 8; set SOLVER\.VIDEOS_PER_BATCH to at most 3/,
        ),
      }),
    );
    expect(new TrainSampler(8, 8, 100, 0).batch(99).sort((a, b) => a - b)).toEqual(range(8));
  });
});

describe('SequentialSampler', () => {
  it('visits every clip once, in order, the last batch smaller', () => {
    const sampler = new SequentialSampler(7, 3);
    expect(range(sampler.numBatches).map((i) => sampler.batch(i))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(new SequentialSampler(6, 3).numBatches).toBe(2);
    expect(new SequentialSampler(2, 16).batch(0)).toEqual([0, 1]);
  });
});
