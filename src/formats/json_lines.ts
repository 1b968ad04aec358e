/** @file Files of a run that may be missing, half written or damaged: what can be read of them, and what not. */
import { readFileSync } from 'node:fs';

/** A value read from JSON whose shape nobody has checked. */
export type Json = Readonly<Record<string, unknown>>;

export interface JsonLines {
  readonly objects: readonly Json[];
  /** Numbers of the lines, from 1, that are no JSON object. A last line without its end is being written and no fault. */
  readonly broken: readonly number[];
}

/** The text of a file, or null where it is not there or cannot be read. */
export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

export function parseJsonLines(text: string): JsonLines {
  const objects: Json[] = [];
  const broken: number[] = [];
  const lines = text.split('\n');
  lines.forEach((line, i) => {
    if (line.trim() === '') return;
    const value = parseObject(line);
    if (value) objects.push(value);
    else if (i < lines.length - 1) broken.push(i + 1);
  });
  return { objects, broken };
}

/** The object that a JSON text holds, or null for anything else. */
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

/** The value if it is a finite number (JSON has null for the others). */
export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function stringOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** The finite numbers of an array; none where it is no array. */
export function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((item) => numberOrNull(item) !== null) : [];
}
