/** @file Tests of the samplers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from '../../util/random.js';
import { cutIntoBatches, SequentialSampler, TrainSampler } from './sampler.js';

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
/** The groups of `n` clips that are all alike. */
const alike = (n: number) => new Uint8Array(n);

describe('TrainSampler', () => {
  const setting = fc
    .integer({ min: 1, max: 12 })
    .chain((size) =>
      fc.record({ size: fc.constant(size), length: fc.integer({ min: size, max: 60 }), seed: fc.nat() }),
    );

  it('asks for no batch of 0 clips if there are no clips', () => {
    expect(() => new TrainSampler(new Uint8Array(0), 8, 1, 0)).toThrow(
      /^the training data has no key frames: (?!.*at most)/,
    );
  });

  it('visits every clip at most once per data pass, all but an incomplete last batch', () => {
    fc.assert(
      fc.property(setting, ({ size, length, seed }) => {
        const perPass = Math.floor(length / size);
        const sampler = new TrainSampler(alike(length), size, 3 * perPass, seed);
        for (let pass = 0; pass < 3; pass++) {
          const seen = range(perPass).flatMap((i) => [...sampler.batch(pass * perPass + i)]);
          expect(seen).toHaveLength(perPass * size);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.every((index) => index >= 0 && index < length)).toBe(true);
        }
      }),
    );
  });

  it('continues at any batch as if it had started at the first', () => {
    fc.assert(
      fc.property(setting, fc.nat(40), ({ size, length, seed }, start) => {
        const whole = new TrainSampler(alike(length), size, 100, seed);
        const before = range(start + 10).map((i) => whole.batch(i));
        const resumed = new TrainSampler(alike(length), size, 100, seed);
        expect(range(10).map((i) => resumed.batch(start + i))).toEqual(before.slice(start));
      }),
    );
  });

  it('shuffles differently in every data pass and for every seed, and reaches clips that an earlier pass left out', () => {
    const sampler = new TrainSampler(alike(50), 8, 600, 3);
    const pass = (number: number) => range(6).flatMap((i) => sampler.batch(number * 6 + i));
    expect(pass(0)).not.toEqual(pass(1));
    expect(pass(0)).not.toEqual([...pass(0)].sort((a, b) => a - b));
    expect(new TrainSampler(alike(50), 8, 600, 4).batch(0)).not.toEqual(sampler.batch(0));
    expect(new Set(range(10).flatMap(pass)).size).toBe(50);
  });

  it('refuses data smaller than a batch, with the numbers and the remedy', () => {
    expect(() => new TrainSampler(alike(3), 8, 100, 0)).toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: expect.stringMatching(
          /has 3 key frames, fewer than one batch of 8; set SOLVER\.VIDEOS_PER_BATCH · SOLVER\.ACCUMULATE to at most 3/,
        ),
      }),
    );
    expect(new TrainSampler(alike(8), 8, 100, 0).batch(99).toSorted((a, b) => a - b)).toEqual(range(8));
  });
});

describe('SequentialSampler', () => {
  it('visits every clip once, in order, the last batch smaller', () => {
    const sampler = new SequentialSampler(alike(7), 3);
    expect(range(sampler.numBatches).map((i) => sampler.batch(i))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    expect(new SequentialSampler(alike(6), 3).numBatches).toBe(2);
    expect(new SequentialSampler(alike(2), 16).batch(0)).toEqual([0, 1]);
  });
});

describe('aspect-ratio groups', () => {
  const grouped = fc.record({
    size: fc.integer({ min: 1, max: 5 }),
    groups: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 20, maxLength: 60 }),
    seed: fc.nat(),
  });

  it('are never mixed, keep their order, and form batches in the order of their first clips', () => {
    expect(cutIntoBatches([3, 0, 4, 1, 5, 2, 6], [0, 0, 0, 1, 1, 1, 1], 2)).toEqual([
      [3, 4],
      [0, 1],
      [5, 6],
      [2],
    ]);
    fc.assert(
      fc.property(grouped, ({ size, groups, seed }) => {
        const order = new Rng(seed).permutation(groups.length);
        const batches = cutIntoBatches(order, groups, size);
        expect(batches.flat().sort((a, b) => a - b)).toEqual(range(groups.length));
        const place = (index: number) => order.indexOf(index);
        const firsts = batches.map(([first]) => place(first));
        expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
        for (const batch of batches) {
          expect(new Set(batch.map((index) => groups[index])).size).toBe(1);
          expect(batch.map(place)).toEqual(batch.map(place).toSorted((a, b) => a - b));
        }
        for (const group of new Set(groups)) {
          const own = batches.filter(([first]) => groups[first] === group);
          expect(own.slice(0, -1).every(({ length }) => length === size)).toBe(true);
        }
      }),
    );
  });

  it('form full batches in training, the same whatever batch a run starts at', () => {
    fc.assert(
      fc.property(grouped, fc.nat(60), ({ size, groups, seed }, start) => {
        const whole = new TrainSampler(groups, size, 1000, seed);
        const batches = range(start + 10).map((i) => whole.batch(i));
        expect(batches.every(({ length }) => length === size)).toBe(true);
        expect(batches.every((batch) => new Set(batch.map((i) => groups[i])).size === 1)).toBe(true);
        const resumed = new TrainSampler(groups, size, 1000, seed);
        expect(range(10).map((i) => resumed.batch(start + i))).toEqual(batches.slice(start));
      }),
    );
  });

  it('replace a clip by one of the same group', () => {
    const groups = [0, 1, 0, 1, 1, 0];
    const sampler = new TrainSampler(groups, 2, 10, 0);
    const drawn = range(60).map((seed) => sampler.replacement(1, new Rng(seed)));
    expect(new Set(drawn)).toEqual(new Set([1, 3, 4]));
  });

  it('are all visited in evaluation, the last batch of each smaller', () => {
    const sampler = new SequentialSampler([0, 0, 1, 0, 1, 1, 1], 2);
    expect(range(sampler.numBatches).map((i) => sampler.batch(i))).toEqual([[0, 1], [2, 4], [3], [5, 6]]);
  });

  it('are divided into parts for an evaluation by several processes', () => {
    const groups = [0, 0, 1, 0, 1, 1, 1];
    const parts = range(3).map((index) => new SequentialSampler(groups, 2, { index, count: 3 }));
    expect(parts.map((part) => range(part.numBatches).map((i) => part.batch(i)))).toEqual([
      [
        [0, 1],
        [5, 6],
      ],
      [[2, 4]],
      [[3]],
    ]);
  });

  it('are refused if they are too small for one batch', () => {
    expect(() => new TrainSampler([0, 1, 0, 1, 0], 4, 100, 0)).toThrow(
      /has 3 key frames of one shape \(DATALOADER\.ASPECT_RATIO_GROUPING\), fewer than one batch of 4/,
    );
  });
});
