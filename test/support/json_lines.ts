/** @file Reads the JSON-lines files of runs. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { parseJsonLines } from '../../src/util/json.js';

/** The objects of a file, one for each line. Fails for a damaged or unfinished line. `Line` is not checked. */
export function readJsonLines<Line>(path: string): Line[] {
  const text = readFileSync(path, 'utf8');
  expect(text, `${path} ends with a whole line`).toMatch(/(^|\n)$/);
  const { objects, broken } = parseJsonLines(text);
  expect(broken, `damaged lines of ${path}`).toEqual([]);
  return objects as Line[];
}
