/** @file Tests of the arena's regions: their sizes, and when they are reserved. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ArenaRegions, listBytes, regionSizes } from './arena_regions.js';

const GIB = 2 ** 30;

const sizes = (gib: number) => [...regionSizes(gib * GIB)].map((bytes) => bytes / GIB);

it('doubles the regions, and gives the last one all that is left', () => {
  expect(sizes(1.5)).toEqual([1.5]);
  expect(sizes(3)).toEqual([1, 2]);
  expect(sizes(12)).toEqual([1, 2, 9]);
  expect(sizes(18)).toEqual([1, 2, 4, 11]);
});

it('makes each region larger than the one before, and all together as large as the limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 45 }), (limit) => {
      const all = [...regionSizes(limit)];
      expect(all.reduce((a, b) => a + b)).toBe(limit);
      for (let i = 1; i < all.length; i++) expect(all[i]).toBeGreaterThan(all[i - 1]);
    }),
  );
});

it('reserves twice as much as the tensors take, and keeps it', () => {
  const reserved: number[] = [];
  const regions = new ArenaRegions((bytes) => reserved.push(bytes / GIB) > 0, 12 * GIB);
  regions.add(0);
  expect(reserved).toEqual([1]);
  regions.add(GIB / 2 - 1);
  expect(reserved).toEqual([1]);
  regions.add(1);
  expect(reserved).toEqual([1, 2]);
  regions.add(-GIB / 2);
  regions.add(GIB / 2);
  expect(reserved).toEqual([1, 2]);
  regions.add(2 * GIB);
  expect(reserved).toEqual([1, 2, 9]);
  regions.add(20 * GIB);
  expect(reserved).toEqual([1, 2, 9]);
});

it('leaves the growth to the arena once the system has refused a region', () => {
  let asked = 0;
  const regions = new ArenaRegions(() => ++asked < 2, 100 * GIB);
  for (let i = 0; i < 10; i++) regions.add(GIB);
  expect(asked).toBe(2);
});

it('has lists of a thirty-second part of the regions', () => {
  const lists = [0, 0.4, 0.5, 1.4, 1.5, 9].map((gib) => (32 * listBytes(gib * GIB, 12 * GIB)) / GIB);
  expect(lists).toEqual([1, 1, 3, 3, 12, 12]);
});
