/** @file Compares results with expected ones. */
import type { Result, Tolerance } from './case.js';

/** The largest differences of any result; infinite if NaN or infinity stands at another place than expected. */
export interface Difference {
  /** ‖actual − expected‖ / ‖expected‖. */
  readonly norm: number;
  /** The largest difference, relative to the largest expected value. */
  readonly largest: number;
}

/** Results that cannot be compared. */
export const INFINITE: Difference = { norm: Number.POSITIVE_INFINITY, largest: Number.POSITIVE_INFINITY };

/** Compares numbers. Where all expected numbers are zero, the differences are absolute. */
export function differenceOf(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  if (actual.length !== expected.length) return INFINITE;
  let [squares, norm, largest, scale] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i], expected[i]];
    if (!Number.isFinite(a) || !Number.isFinite(b)) {
      if (Object.is(a, b)) continue;
      return INFINITE;
    }
    squares += (a - b) ** 2;
    norm += b ** 2;
    largest = Math.max(largest, Math.abs(a - b));
    scale = Math.max(scale, Math.abs(b));
  }
  return { norm: Math.sqrt(squares / (norm || 1)), largest: largest / (scale || 1) };
}

/** The larger one of each kind of difference. */
export function largestOf(differences: readonly Difference[]): Difference {
  return {
    norm: Math.max(0, ...differences.map(({ norm }) => norm)),
    largest: Math.max(0, ...differences.map(({ largest }) => largest)),
  };
}

export function isWithin(difference: Difference, tolerance: Tolerance): boolean {
  return difference.norm <= tolerance.norm && difference.largest <= tolerance.largest;
}

/** Formats an error, e.g. `1.2e-7`. */
export function errorText(error: number): string {
  if (error === 0) return '0';
  return Number.isFinite(error) ? error.toExponential(1) : 'infinite';
}

/** Formats the largest error that is allowed, e.g. `at most 1e-5`. */
export function limitText(tolerance: number): string {
  return tolerance === 0 ? 'none' : `at most ${tolerance.toExponential()}`;
}

/** Whether two runs gave the same results to the last bit. */
export function sameBits(a: readonly Result[], b: readonly Result[]): boolean {
  return a.every(({ data }, i) => {
    const other = b[i].data;
    for (let k = 0; k < data.length; k++) if (!Object.is(data[k], other[k])) return false;
    return data.length === other.length;
  });
}
