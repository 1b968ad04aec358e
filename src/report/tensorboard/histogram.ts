/** @file Histograms in TensorFlow's buckets: limits that grow by a tenth, on both sides of zero. */
import type { HistogramValue } from './event_format.js';

const SMALLEST = 1e-12;
const LARGEST = 1e20;
const GROWTH = 1.1;
const LOG_GROWTH = Math.log(GROWTH);

/** 1e-12 · 1.1ⁱ below 1e20, then the largest number. */
const POSITIVE: readonly number[] = (() => {
  const limits: number[] = [];
  for (let limit = SMALLEST; limit < LARGEST; limit *= GROWTH) limits.push(limit);
  return [...limits, Number.MAX_VALUE];
})();

/** Bucket i holds what is below limit i and not below limit i − 1. */
const LIMITS: readonly number[] = [...POSITIVE.map((limit) => -limit).reverse(), 0, ...POSITIVE];
const ZERO = POSITIVE.length;

/** Counts `values`; those that are not finite belong to no bucket and are left out. */
export function makeHistogram(values: ArrayLike<number>): HistogramValue {
  const counts = new Float64Array(LIMITS.length);
  let [min, max, num, sum, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isFinite(value)) continue;
    counts[bucketOf(value)]++;
    if (value < min) min = value;
    if (value > max) max = value;
    num++;
    sum += value;
    squares += value * value;
  }
  if (num === 0) [min, max] = [0, 0];
  return { min, max, num, sum, sum_squares: squares, ...withoutEmptyRuns(counts) };
}

/** The first bucket whose limit is above the value. A logarithm is faster than a search in 1500 limits. */
function bucketOf(value: number): number {
  const size = Math.abs(value);
  if (size < SMALLEST) return value < 0 ? ZERO : ZERO + 1;
  // The largest limit that is not above the size, give or take rounding.
  let at = Math.min(Math.floor(Math.log(size / SMALLEST) / LOG_GROWTH), POSITIVE.length - 1);
  while (at + 1 < POSITIVE.length && POSITIVE[at + 1] <= size) at++;
  while (POSITIVE[at] > size) at--;
  // Limits belong to the bucket above them, which on the negative side is the one that is nearer to zero.
  if (value > 0) return Math.min(ZERO + 2 + at, LIMITS.length - 1);
  return POSITIVE[at] === size ? ZERO - at : ZERO - at - 1;
}

/**
 * Neighbouring empty buckets become one. Those at the ends are left out: TensorBoard takes the smallest value for the
 * lower end of the first bucket and the largest for the upper end of the last.
 */
function withoutEmptyRuns(counts: Float64Array): Pick<HistogramValue, 'bucket_limit' | 'bucket'> {
  const limits: number[] = [];
  const buckets: number[] = [];
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  for (let i = first; i >= 0 && i <= last; i++) {
    const previous = buckets.length - 1;
    if (counts[i] === 0 && buckets[previous] === 0) limits[previous] = LIMITS[i];
    else {
      limits.push(LIMITS[i]);
      buckets.push(counts[i]);
    }
  }
  return { bucket_limit: limits, bucket: buckets };
}
