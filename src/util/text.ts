/** @file Numbers and names as people read them. */

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

export const GIB = 2 ** 30;

/** Bytes in GiB. */
export function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}

/** Bytes in the unit that suits them, e.g. `97.1 MiB`. */
export function byteSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Text out of a file for a terminal: characters that would control it are written as `\x1b`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A text as one word of a shell's command, in quotes where it needs them. */
export function shellWord(text: string): string {
  return /^[\w./:+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first of many names, e.g. `a, b, c, …`. */
export function firstNames(names: readonly string[], max = 3): string {
  return names.slice(0, max).join(', ') + (names.length > max ? ', …' : '');
}
