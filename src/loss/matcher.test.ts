/** @file Matching: the assignment against all permutations, ties, costs, errors. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assign } from './assignment.js';
import { matchClip } from './matcher.js';

/** The least total cost over all ways to give each row of the smaller side a partner of its own. */
function leastCost(cost: number[], rows: number, columns: number): number {
  const at =
    rows <= columns
      ? (i: number, j: number) => cost[i * columns + j]
      : (i: number, j: number) => cost[j * columns + i];
  const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
  const search = (i: number, taken: number): number => {
    if (i === small) return 0;
    let best = Number.POSITIVE_INFINITY;
    for (let j = 0; j < large; j++) {
      if (!(taken & (1 << j))) best = Math.min(best, at(i, j) + search(i + 1, taken | (1 << j)));
    }
    return best;
  };
  return search(0, 0);
}

/** Checks that the pairs are an assignment of the smaller side, and gives their cost. */
function costOf(pairs: [number, number][], cost: number[], rows: number, columns: number): number {
  expect(pairs.length).toBe(Math.min(rows, columns));
  expect(new Set(pairs.map(([row]) => row)).size).toBe(pairs.length);
  expect(new Set(pairs.map(([, column]) => column)).size).toBe(pairs.length);
  return pairs.reduce((sum, [row, column]) => {
    expect(row >= 0 && row < rows && column >= 0 && column < columns).toBe(true);
    return sum + cost[row * columns + column];
  }, 0);
}

const matrices = (value: fc.Arbitrary<number>) =>
  fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 6 }), fc.boolean())
    .chain(([a, b, swap]) => {
      const [rows, columns] = swap ? [b, a] : [a, b];
      return fc.record({
        rows: fc.constant(rows),
        columns: fc.constant(columns),
        cost: fc.array(value, { minLength: rows * columns, maxLength: rows * columns }),
      });
    });

describe('assign', () => {
  it('finds the minimum total cost of any matrix', () => {
    const value = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(matrices(value), ({ rows, columns, cost }) => {
        const total = costOf(assign(Float64Array.from(cost), rows, columns), cost, rows, columns);
        expect(total).toBeCloseTo(leastCost(cost, rows, columns), 8);
      }),
      { numRuns: 400 },
    );
  });

  it('finds the minimum among many equal costs', () => {
    fc.assert(
      fc.property(matrices(fc.integer({ min: -1, max: 1 })), ({ rows, columns, cost }) => {
        const total = costOf(assign(Float64Array.from(cost), rows, columns), cost, rows, columns);
        expect(total).toBe(leastCost(cost, rows, columns));
      }),
      { numRuns: 400 },
    );
  });

  it('finds the minimum if costs differ by many orders of magnitude', () => {
    const value = fc
      .integer({ min: -12, max: 12 })
      .map((exponent) => Math.sign(exponent) * 10 ** Math.abs(exponent));
    fc.assert(
      fc.property(matrices(value), ({ rows, columns, cost }) => {
        const total = costOf(assign(Float64Array.from(cost), rows, columns), cost, rows, columns);
        const best = leastCost(cost, rows, columns);
        // Prices are sums of costs: rounding is relative to the largest of them.
        const largest = Math.max(1, ...cost.map(Math.abs));
        expect(Math.abs(total - best)).toBeLessThanOrEqual(1e-12 * largest);
      }),
      { numRuns: 200 },
    );
  });

  it('matches nothing if one side is empty', () => {
    expect(assign(new Float64Array(0), 0, 5)).toEqual([]);
    expect(assign(new Float64Array(0), 5, 0)).toEqual([]);
    expect(assign(new Float64Array(0), 0, 0)).toEqual([]);
  });

  it('takes the first of equal columns, in order, as scipy does', () => {
    expect(assign(new Float64Array(12), 3, 4)).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
  });

  it('solves a hundred queries and fifty targets', () => {
    // cost = (column − 2·row)²: row r belongs to column 2r.
    const cost = Float64Array.from(
      { length: 50 * 100 },
      (_, i) => ((i % 100) - 2 * Math.floor(i / 100)) ** 2,
    );
    expect(assign(cost, 50, 100)).toEqual(Array.from({ length: 50 }, (_, r) => [r, 2 * r]));
  });
});

describe('matchClip', () => {
  const whwh = [100, 50, 100, 50];
  const weights = { l1: 2, object: 2, giou: 2 };

  it('matches by position, and by score if positions are equal', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 50, 20, 80, 45, 50, 20, 80, 45, 0, 0, 99, 49);
    const person = Float32Array.of(0.1, 0.3, 0.6, 0.9);
    const targets = [52, 20, 80, 44, 1, 0, 11, 9];
    expect(matchClip({ person, boxes }, targets, whwh, weights)).toEqual([
      { query: 0, target: 1 },
      { query: 2, target: 0 },
    ]);
  });

  it('applies the weights of its three costs', () => {
    // Query 0 overlaps well, query 1 has the score.
    const boxes = Float32Array.of(10, 10, 30, 30, 60, 10, 80, 30);
    const person = Float32Array.of(0.2, 0.7);
    const target = [10, 10, 30, 30];
    const matched = (change: Partial<typeof weights>) =>
      matchClip({ person, boxes }, target, whwh, { l1: 0, object: 0, giou: 0, ...change })![0].query;
    expect(matched({ l1: 1 })).toBe(0);
    expect(matched({ giou: 1 })).toBe(0);
    expect(matched({ object: 1 })).toBe(1);
    // L1: |50|/100 twice = 1 against a gain of 0.5 in score.
    expect(matched({ l1: 1, object: 1.9 })).toBe(0);
    expect(matched({ l1: 1, object: 2.1 })).toBe(1);
    // GIoU: 1 against 0 − (70 − 40)/70 = −3/7, so 10/7 against 0.5 in score.
    expect(matched({ giou: 1, object: 2.8 })).toBe(0);
    expect(matched({ giou: 1, object: 2.9 })).toBe(1);
  });

  it('matches the best queries if there are more targets, and nothing without a target', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 50, 20, 80, 45);
    const person = Float32Array.of(0.5, 0.5);
    const targets = [0, 0, 99, 49, 51, 20, 80, 45, 0, 0, 10, 11];
    expect(matchClip({ person, boxes }, targets, whwh, weights)).toEqual([
      { query: 0, target: 2 },
      { query: 1, target: 1 },
    ]);
    expect(matchClip({ person, boxes }, [], whwh, weights)).toEqual([]);
  });

  it.each([
    ['a score that is not a number', Float32Array.of(Number.NaN), Float32Array.of(0, 0, 1, 1)],
    ['a box that is not a number', Float32Array.of(0.5), Float32Array.of(0, Number.NaN, 1, 1)],
    [
      'an infinite box',
      Float32Array.of(0.5),
      Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 1),
    ],
  ])('matches nothing for %s', (_, person, boxes) => {
    expect(matchClip({ person, boxes }, [0, 0, 10, 10], whwh, weights)).toBeNull();
  });
});
