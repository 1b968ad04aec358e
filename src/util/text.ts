/** @file Numbers as people read them. */

/** Seconds as h:mm:ss, with days in front where there are any. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const two = (n: number) => String(n).padStart(2, '0');
  return `${days ? `${days} d ` : ''}${hours}:${two(minutes)}:${two(whole % 60)}`;
}

/** A number with so many significant digits, without trailing zeros. */
export function significant(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

/** Bytes in GiB. */
export function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
