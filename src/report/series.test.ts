/** @file Thinning, smoothing, and summaries of series. */
import { describe, expect, it } from 'vitest';
import { mean, quantile, smooth, thin } from './series.js';

const line = (n: number, f: (x: number) => number | null) =>
  Array.from({ length: n }, (_, x) => ({ x, y: f(x) }));

describe('thin', () => {
  it('keeps short series, and the ends and group means of long ones', () => {
    expect(
      thin(
        line(5, (x) => x),
        5,
      ),
    ).toEqual(line(5, (x) => x));
    const thinned = thin(
      line(10_001, () => 2),
      300,
    );
    expect(thinned.length).toBeLessThanOrEqual(300);
    expect([thinned[0].x, thinned.at(-1)!.x]).toEqual([0, 10_000]);
    expect(thinned.every(({ y }) => y === 2)).toBe(true);
    expect(
      thin(
        line(5, (x) => (x === 2 ? null : x)),
        3,
      ),
    ).toEqual([
      { x: 0, y: 0 },
      { x: 2, y: 1 },
      { x: 4, y: 3.5 },
    ]);
  });
});

describe('smooth', () => {
  it('does not change a straight line, not even at its ends', () => {
    const off = smooth(line(100, (x) => 3 - x / 50)).map(({ x, y }) => Math.abs(y! - (3 - x / 50)));
    expect(Math.max(...off)).toBeLessThan(1e-10);
  });

  it('removes most of the noise', () => {
    const noisy = line(200, (x) => 1 + (x % 2 ? 0.5 : -0.5));
    const rest = smooth(noisy)
      .slice(10, -10)
      .map(({ y }) => Math.abs(y! - 1));
    expect(Math.max(...rest)).toBeLessThan(0.05);
  });

  it('skips unknown values and returns short series unchanged', () => {
    expect(smooth(line(5, (x) => (x === 2 ? null : x)))).toHaveLength(4);
    expect(smooth(line(60, (x) => (x === 30 ? null : 1)))).toHaveLength(59);
    expect(smooth([])).toEqual([]);
  });
});

describe('mean and quantile', () => {
  it('ignore unknown values', () => {
    expect(mean([1, null, 3])).toBe(2);
    expect(mean([null])).toBeNull();
    expect(quantile([5, null, 1, 3], 0.5)).toBe(3);
    expect(quantile([], 0.5)).toBeNull();
  });
});
