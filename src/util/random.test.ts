/** @file The random numbers: their distributions, that streams are independent, that a state continues. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng } from './random.js';

const draw = (rng: Rng, count: number) => Array.from({ length: count }, () => rng.uniform());
const mean = (xs: number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
const moment = (xs: number[], k: number) => mean(xs.map((x) => x ** k));

/** Pearson's correlation. */
function correlation(xs: number[], ys: number[]): number {
  const [a, b] = [mean(xs), mean(ys)];
  const covariance = mean(xs.map((x, i) => (x - a) * (ys[i] - b)));
  return covariance / Math.sqrt(mean(xs.map((x) => (x - a) ** 2)) * mean(ys.map((y) => (y - b) ** 2)));
}

/** Σ (observed − expected)²/expected for counts that should be equal; mean bins − 1, deviation √(2·(bins − 1)). */
function chiSquare(counts: number[]): number {
  const expected = mean(counts);
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

const histogram = (xs: number[], bins: number) => {
  const counts = new Array<number>(bins).fill(0);
  for (const x of xs) counts[Math.floor(x * bins)]++;
  return counts;
};

describe('Rng', () => {
  it('draws uniform numbers in [0, 1) that float32 holds exactly', () => {
    const xs = draw(new Rng(1), 100_000);
    expect(xs.every((x) => x >= 0 && x < 1 && Math.fround(x) === x)).toBe(true);
    // 63 degrees of freedom: six deviations above the mean.
    expect(chiSquare(histogram(xs, 64))).toBeLessThan(63 + 6 * Math.sqrt(126));
    expect(Math.abs(correlation(xs.slice(1), xs.slice(0, -1)))).toBeLessThan(6 / Math.sqrt(xs.length));
  });

  it('draws from any range', () => {
    const rng = new Rng(2);
    const xs = Array.from({ length: 10_000 }, () => rng.uniformBetween(-3, 5));
    expect(xs.every((x) => x >= -3 && x < 5)).toBe(true);
    expect(Math.abs(mean(xs) - 1)).toBeLessThan((6 * 8) / Math.sqrt(12 * xs.length));
  });

  it.each([1, 2, 7, 80])('draws whole numbers below %i evenly', (n) => {
    const rng = new Rng(3);
    const counts = new Array<number>(n).fill(0);
    for (let i = 0; i < 1000 * n; i++) counts[rng.int(n)]++;
    expect(counts.length).toBe(n);
    expect(chiSquare(counts)).toBeLessThanOrEqual(n - 1 + 6 * Math.sqrt(2 * (n - 1)));
  });

  it('draws normal numbers', () => {
    const rng = new Rng(4);
    const xs = Array.from({ length: 100_000 }, () => rng.normal());
    const n = xs.length;
    // Moments of N(0, 1): 0, 1, 0, 3; the k-th's variance is (E x²ᵏ − (E xᵏ)²)/n.
    for (const [k, expected, variance] of [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ]) {
      expect(Math.abs(moment(xs, k) - expected), `moment ${k}`).toBeLessThan(6 * Math.sqrt(variance / n));
    }
    expect(Math.abs(correlation(xs.slice(1), xs.slice(0, -1)))).toBeLessThan(6 / Math.sqrt(n));
    const within = xs.filter((x) => Math.abs(x) < 1).length / n;
    expect(Math.abs(within - 0.682689)).toBeLessThan(6 * Math.sqrt((0.682689 * 0.317311) / n));
  });

  it('makes permutations, all equally often', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 50 }), (seed, n) => {
        const order = new Rng(seed).permutation(n);
        expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
    const counts = new Map<string, number>();
    const rng = new Rng(5);
    for (let i = 0; i < 24_000; i++) {
      const key = rng.permutation(4).join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()])).toBeLessThan(23 + 6 * Math.sqrt(46));
  });

  it('repeats itself for the same seed and continues from a state', () => {
    expect(draw(new Rng(9), 5)).toEqual(draw(new Rng(9), 5));
    fc.assert(
      fc.property(fc.integer(), fc.nat(20), fc.nat(5), (seed, uniforms, normals) => {
        const rng = new Rng(seed);
        draw(rng, uniforms);
        for (let i = 0; i < normals; i++) rng.normal();
        // A state is plain data: it may pass through a file. An odd number of normals leaves a spare one in it.
        const copy = Rng.fromState(JSON.parse(JSON.stringify(rng.getState())));
        expect([copy.normal(), copy.normal(), ...draw(copy, 5)]).toEqual([
          rng.normal(),
          rng.normal(),
          ...draw(rng, 5),
        ]);
      }),
    );
  });
});

describe('random streams of neighbouring seeds and names', () => {
  const count = 2000;
  const names = [
    'sampler',
    'sampler0',
    'sampler1',
    'blocks.0.weight',
    'blocks.1.weight',
    'blocks.0.bias',
    'a',
    'b',
  ];
  const streams: [string, Rng][] = [];
  for (let seed = 0; seed < 8; seed++)
    streams.push([`seed ${seed}`, new Rng(seed)], [`seed ${-1 - seed}`, new Rng(-1 - seed)]);
  for (const seed of [0, 1, 2, 1234]) {
    for (const name of names) streams.push([`${name} of ${seed}`, Rng.forName(seed, name)]);
  }
  const drawn = streams.map(([name, rng]) => ({ name, xs: draw(rng, count) }));

  it('are not correlated, at any shift by up to two', () => {
    // Some 5,600 comparisons: the largest of that many deviates by about four.
    for (const [i, a] of drawn.entries()) {
      for (const b of drawn.slice(i + 1)) {
        for (const shift of [0, 1, 2]) {
          const r = correlation(a.xs.slice(shift), b.xs.slice(0, count - shift));
          if (Math.abs(r) > 6 / Math.sqrt(count))
            expect.fail(`${a.name} and ${b.name}: ${r} at shift ${shift}`);
        }
      }
    }
  });

  it('have uniform first numbers over many seeds', () => {
    const first = Array.from({ length: 20_000 }, (_, seed) => new Rng(seed).uniform());
    expect(chiSquare(histogram(first, 32))).toBeLessThan(31 + 6 * Math.sqrt(62));
    const named = Array.from({ length: 20_000 }, (_, i) => Rng.forName(7, `epoch ${i}`).uniform());
    expect(chiSquare(histogram(named, 32))).toBeLessThan(31 + 6 * Math.sqrt(62));
    expect(new Set(named).size).toBeGreaterThan(19_950);
  });

  it('differ for every name and every seed', () => {
    const keys = drawn.map(({ xs }) => xs.slice(0, 3).join());
    expect(new Set(keys).size).toBe(keys.length);
  });
});
