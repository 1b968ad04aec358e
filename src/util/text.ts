/** @file Formats numbers and names for people. */

/** Formats seconds as h:mm:ss, after the days if there are any. */
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

/**
 * Formats seconds in the largest unit and the next smaller one, e.g. `1 day 3 h`, `3 h 5 min`, `12 min`, `40 s`. A dash
 * stands for a time that is not known.
 */
export function roughDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return twoUnits(`${hours} h`, minutes % 60, 'min');
  const allHours = Math.round(minutes / 60);
  const days = Math.floor(allHours / 24);
  if (days >= 100) return `${days} days`;
  return twoUnits(days === 1 ? '1 day' : `${days} days`, allHours % 24, 'h');
}

function twoUnits(large: string, small: number, unit: string): string {
  return small === 0 ? large : `${large} ${small} ${unit}`;
}

/** Formats a number with `digits` significant digits, without trailing zeros. */
export function significant(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

export const GIB = 2 ** 30;

/** Formats bytes in GiB. */
export function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}

/** Formats bytes in a suitable unit, e.g. `97.1 MiB`. */
export function byteSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Makes text from a file safe for a terminal: control characters are written as `\x1b`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Quotes a text as one word of a shell command, if necessary. */
export function shellWord(text: string): string {
  return /^[\w./:@+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Lists the first names of many, e.g. `a, b, c, …`. */
export function firstNames(names: readonly string[], max = 3): string {
  return names.slice(0, max).join(', ') + (names.length > max ? ', …' : '');
}

/** Formats a number with thousands separators. */
export function count(value: number): string {
  return value.toLocaleString('en');
}

/** Formats a number with its unit, e.g. `1 frame`, `27,000 frames`. */
export function countOf(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
