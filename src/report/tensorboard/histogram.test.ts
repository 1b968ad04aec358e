/** @file Tests of the buckets. */
import { describe, expect, it } from 'vitest';
import { makeHistogram } from './histogram.js';

/** Lower and upper end of every bucket that has something in it, with its count; a bucket in front shows the first one's. */
function filled(values: number[]): [number, number, number][] {
  const { bucket, bucket_limit: limits } = makeHistogram([-Number.MAX_VALUE, ...values]);
  return bucket
    .map((count, i): [number, number, number] => [limits[i - 1], limits[i], count])
    .filter(([, , count], i) => count > 0 && i > 0);
}

describe('makeHistogram', () => {
  it('puts every value between the ends of its bucket, which are a tenth apart', () => {
    const sizes = [0, 1e-13, 1e-12, 1.1e-12, 0.003, 0.5, 1, 1.05, 7, 12345.678, 9e19];
    for (const value of sizes.flatMap((size) => [size, -size])) {
      const [[low, high, count], ...rest] = filled([value]);
      expect(rest).toEqual([]);
      expect(count).toBe(1);
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThan(value);
      if (Math.abs(value) > 1.1e-12) expect(high / low).toBeCloseTo(value > 0 ? 1.1 : 1 / 1.1, 9);
    }
  });

  it('puts a limit into the bucket above it, on both sides of zero', () => {
    for (let limit = 1e-12, i = 0; i < 700; i++, limit *= 1.1) {
      expect(filled([limit])[0][0]).toBe(limit);
      expect(filled([-limit])[0][0]).toBe(-limit);
    }
  });

  it('knows numbers beyond the last limit', () => {
    expect(filled([1e30, Number.MAX_VALUE])).toEqual([[expect.closeTo(1e20, -19.5), Number.MAX_VALUE, 2]]);
    expect(makeHistogram([-1e30, -1]).bucket).toEqual([1, 0, 1]);
  });

  it('sums up, and leaves out what is not finite', () => {
    const values = [-1, 2, 2, Number.NaN, Number.POSITIVE_INFINITY, 3];
    expect(makeHistogram(values)).toMatchObject({ min: -1, max: 3, num: 4, sum: 6, sum_squares: 18 });
    expect(filled(values).map(([, , count]) => count)).toEqual([1, 2, 1]);
    expect(makeHistogram([Number.NaN])).toMatchObject({ min: 0, max: 0, num: 0, bucket: [] });
  });

  it('keeps empty buckets once, and none at the ends', () => {
    const { bucket, bucket_limit: limits } = makeHistogram([-5, 1, 1, 100]);
    expect(bucket).toEqual([1, 0, 2, 0, 1]);
    expect(limits).toEqual([...limits].sort((a, b) => a - b));
  });
});
