/** @file Time in a data set: key frames are times in seconds, which may have fractions and are never rounded. */

/**
 * Times of one video that differ by this much or less, in seconds, are one key frame, because files write the time of a
 * frame with different numbers of digits (1/30 s is 0.033 or 0.0333).
 */
export const SAME_TIME = 0.001;
/** Error of sums and differences of decimal fractions in binary. */
const NOISE = 1e-9;
/** Fractions of a second in files, where a time is written or computed: microseconds. */
const DIGITS = 6;

/** AVA.FIRST_SECOND of AVA, in whose time base the first two seconds have no key frames. */
export const AVA_FIRST_SECOND = 900;
const AVA_FIRST_KEY_FRAME = 902;
/** The last annotated second of AVA. */
export const AVA_LAST_SECOND = 1798;

export function isSameTime(a: number, b: number): boolean {
  return Math.abs(a - b) <= SAME_TIME + NOISE;
}

/** A sum or product of times without the noise of binary fractions: 901.7 + 0.3 is 902. */
export function exactTime(second: number): number {
  return Number(second.toFixed(DIGITS)) + 0;
}

/** A time as AVA's csv files write it: four digits before the point, and a fraction only if there is one. */
export function timeText(second: number): string {
  const time = exactTime(second);
  const [whole, fraction] = Math.abs(time).toFixed(DIGITS).replace(/\.?0+$/, '').split('.');
  const text = time < 0 ? `-${whole.padStart(3, '0')}` : whole.padStart(4, '0');
  return fraction === undefined ? text : `${text}.${fraction}`;
}

/** A time for people to read: 91.5, or 0.033 for 1/30. */
export function readableTime(second: number): string {
  return String(Number(second.toFixed(3)) + 0);
}
