/** @file The text of an annotation file, in any encoding that programs write. */
import { readFileSync } from 'node:fs';
import { DataError } from '../../errors.js';
import { systemErrorText } from '../../files/system_errors.js';
import { formatOf } from '../../media/signatures.js';
import { absenceOf } from '../../util/addresses.js';
import { encodingOf } from '../../util/encoding.js';
import { isObject } from '../../util/json.js';

/** Longest text that the engine can hold is about 2^29 characters. */
const MAX_BYTES = 500 * 2 ** 20;

/** Reads a file in UTF-8 or UTF-16, without a byte order mark. Throws DataError if it cannot be read or is empty, or is an archive. */
export function readAnnotationText(path: string): string {
  const bytes = read(path);
  const text = decode(bytes);
  if (text.trim() === '') throw new DataError(`${path}: the file is empty; export the annotations again`);
  const format = formatOf(bytes.subarray(0, 64));
  if (format?.group === 'archive') {
    throw new DataError(
      `${path}: it is ${format.name}; unpack it, and give the annotation file in it (e.g. annotations.xml) to this command`,
    );
  }
  return text;
}

function read(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = absenceOf(path, 'file', `cannot be read: ${systemErrorText(error)}`);
    throw new DataError(`${path}: ${reason}`, { cause: error });
  }
  if (bytes.length > MAX_BYTES) {
    throw new DataError(
      `${path}: the file is larger than 500 MiB; export the annotations of fewer videos at a time`,
    );
  }
  return bytes;
}

function decode(bytes: Buffer): string {
  const encoding = encodingOf(bytes);
  return new TextDecoder(encoding === 'utf-32' ? 'utf-8' : encoding).decode(bytes);
}

/** Parses JSON. Throws DataError that names the file. */
export function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DataError(
      `${path}: the JSON is damaged or cut off (${(error as Error).message}); export it again`,
      {
        cause: error,
      },
    );
  }
}

/** A value as an object; an empty one if it is something else. */
export function objectOr(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

export function arrayOr(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text or a number as text; null for anything else, and for an empty text. */
export function textOrNull(value: unknown): string | null {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A number, also if it is written as text; null for anything else. */
export function numberOrNone(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}
