/** @file Formats times. */

/** Seconds with three digits, or milliseconds below a second. */
export function seconds(value: number): string {
  if (Math.abs(value) >= 0.9995) return `${value.toPrecision(3)} s`;
  return Math.abs(value) >= 0.001
    ? `${Number((1000 * value).toPrecision(3))} ms`
    : `${(1e6 * value).toFixed(0)} µs`;
}
