/** @file Histograms in TensorFlow's buckets: limits that grow by a tenth, on both sides of zero. */
import type { HistogramValue } from './event_format.js';

/** Positive limits: 1e-12 · 1.1ⁱ below 1e20, then the largest number. */
const POSITIVE: readonly number[] = (() => {
  const limits: number[] = [];
  for (let limit = 1e-12; limit < 1e20; limit *= 1.1) limits.push(limit);
  return [...limits, Number.MAX_VALUE];
})();

/** Limits of the buckets. Bucket i holds values from limit i − 1, inclusive, to limit i. */
const LIMITS = Float64Array.from([...POSITIVE.map((limit) => -limit).reverse(), 0, ...POSITIVE]);

/** Bits of a float32 that are all ones if it is not finite, and the number of low bits that `firstBuckets` ignores. */
const EXPONENT = 0x7f800000;
const LOW_BITS = 16;

let buckets: Uint16Array | undefined;

/**
 * The bucket of the smallest number with these upper 16 bits. Numbers that share them lie within one percent, so they are in
 * this bucket or the next. A search among all buckets would take most of the time for a large model.
 */
function firstBuckets(): Uint16Array {
  if (buckets) return buckets;
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  let bucket = 0;
  buckets = Uint16Array.from({ length: 1 << 16 }, (_, upper) => {
    const isNegative = upper >= 1 << 15;
    bits[0] = (isNegative ? upper + 1 : upper) << LOW_BITS;
    while (LIMITS[bucket] <= number[0]) bucket++;
    while (LIMITS[bucket - 1] > number[0]) bucket--;
    return bucket;
  });
  return buckets;
}

/** Counts the finite values; the others belong to no bucket. */
export function makeHistogram(values: Float32Array): HistogramValue {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const first = firstBuckets();
  const counts = new Float64Array(LIMITS.length);
  let [min, max, num, sum, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if ((bits[i] & EXPONENT) === EXPONENT) continue;
    const value = values[i];
    let bucket = first[bits[i] >>> LOW_BITS];
    while (LIMITS[bucket] <= value) bucket++;
    counts[bucket]++;
    if (value < min) min = value;
    if (value > max) max = value;
    num++;
    sum += value;
    squares += value * value;
  }
  if (num === 0) [min, max] = [0, 0];
  return { min, max, num, sum, sum_squares: squares, ...withoutEmptyRuns(counts) };
}

/**
 * Merges neighbouring empty buckets and drops those at the ends: TensorBoard uses the smallest value as the lower limit of
 * the first bucket and the largest as the upper limit of the last.
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
