/** @file Reads JSON that may be incomplete, damaged or of another version. Never throws. */

/** An object read from JSON whose fields have not been checked. */
export type Json = Readonly<Record<string, unknown>>;

export interface JsonLines {
  readonly objects: readonly Json[];
  /** Line numbers, from 1, that hold no JSON object. An unfinished last line is still being written and does not count. */
  readonly broken: readonly number[];
}

/** A line of a text. */
export interface NumberedLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Parses a text with one JSON object per line. */
export function parseJsonLines(text: string): JsonLines {
  const lines = text.split('\n').map((line, i) => ({ number: i + 1, text: line }));
  return parseNumberedLines(lines, lines.length);
}

/** Parses some lines of a text with one JSON object per line. `end` is the number of the text's last line. */
export function parseNumberedLines(lines: readonly NumberedLine[], end: number): JsonLines {
  const objects: Json[] = [];
  const broken: number[] = [];
  for (const { number, text } of lines) {
    if (text.trim() === '') continue;
    const value = parseObject(text);
    if (value) objects.push(value);
    else if (number < end) broken.push(number);
  }
  return { objects, broken };
}

/** Returns the object in a JSON text, or null for anything else. */
export function parseObject(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value if it is a finite number, else null, as JSON does. */
export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function stringOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** Returns the finite numbers in an array. Any other value has none. */
export function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((item) => numberOrNull(item) !== null) : [];
}
