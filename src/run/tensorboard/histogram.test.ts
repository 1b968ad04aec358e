/** @file Tests of the buckets. */
import { describe, expect, it } from 'vitest';
import { makeHistogram } from './histogram.js';

const histogram = (...values: number[]) => makeHistogram(Float32Array.from(values));

/** The ends of the bucket that a value is put into. */
function bucketOf(value: number): { low: number; high: number } {
  // Something in the first bucket, whose lower end is not written, and in the second one.
  const { bucket, bucket_limit: limits } = histogram(-3e38, value);
  expect([...bucket].sort()).toEqual(bucket.length === 2 ? [1, 1] : [0, 1, 1]);
  return { low: limits[limits.length - 2], high: limits[limits.length - 1] };
}

describe('makeHistogram', () => {
  it('puts every value between the limits of its bucket, which are a tenth apart', () => {
    const sizes = [0, 1e-40, 1e-13, 2e-12];
    for (let limit = 1e-12; limit < 9e19; limit *= 1.1) {
      // Just below the end of a bucket, just above it, or at it, as it rounds; and amid the bucket.
      sizes.push(limit * (1 - 1e-7), limit, limit * (1 + 1e-7), limit * 1.05);
    }
    for (const value of sizes.flatMap((size) => [Math.fround(size), Math.fround(-size)])) {
      const { low, high } = bucketOf(value);
      if (low > value || high <= value) expect.fail(`${value} is in the bucket from ${low} to ${high}`);
      if (Math.abs(value) > 1.2e-12) expect(Math.abs(Math.log(high / low))).toBeCloseTo(Math.log(1.1), 9);
    }
  });

  it('counts numbers beyond the last limit', () => {
    expect(bucketOf(1e30).high).toBe(Number.MAX_VALUE);
    expect(histogram(-1e30, -3e38, -1).bucket).toEqual([2, 0, 1]);
  });

  it('sums finite values and leaves out the others', () => {
    const values = [-1, 2, 2, Number.NaN, Number.POSITIVE_INFINITY, 3];
    expect(histogram(...values)).toMatchObject({ min: -1, max: 3, num: 4, sum: 6, sum_squares: 18 });
    expect(histogram(...values).bucket.filter((count) => count > 0)).toEqual([1, 2, 1]);
    expect(histogram(Number.NaN)).toMatchObject({ min: 0, max: 0, num: 0, bucket: [] });
  });

  it('merges empty buckets, and drops those at the ends', () => {
    const { bucket, bucket_limit: limits } = histogram(-5, 1, 1, 100);
    expect(bucket).toEqual([1, 0, 2, 0, 1]);
    expect(limits).toEqual([...limits].sort((a, b) => a - b));
  });
});
