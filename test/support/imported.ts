/** @file Runs `data import` on files that a test writes, and reads what it wrote. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importAnnotations } from '../../src/data_tools/import/import.js';
import type { ImportOptions } from '../../src/data_tools/import/options.js';

type Options = Omit<ImportOptions, 'log' | 'files' | 'out'>;

export interface ImportResult {
  /** Lines of a file in annotations/, without their ends. */
  lines(name?: string): string[];
  readonly log: string;
}

/** Imports files into a folder. */
export async function importInto(
  out: string,
  files: readonly string[],
  options: Options = {},
): Promise<ImportResult> {
  const messages: string[] = [];
  const log = {
    info: (text: string) => messages.push(text),
    warn: (text: string) => messages.push(`warning: ${text}`),
  };
  await importAnnotations({ ...options, files, out, log });
  const read = (name: string) => readFileSync(join(out, 'annotations', name), 'utf8');
  return {
    lines: (name = 'all.csv') => read(name).split('\n').filter(Boolean),
    log: messages.join('\n'),
  };
}

/** Some columns of csv lines, each as a text with commas. */
export function columns(lines: readonly string[], ...which: readonly number[]): string[] {
  return lines.map((line) =>
    line
      .split(',')
      .filter((_, i) => which.includes(i))
      .join(),
  );
}
