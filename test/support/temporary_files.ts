/** @file A folder for the files of one test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** Makes a new folder for each test of a file, and removes it afterwards. */
export function temporaryFiles() {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stmixer-test-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const at = (...names: string[]) => join(folder, ...names);
  /** Writes a file and returns its path. */
  const file = (name: string, text: string) => {
    writeFileSync(at(name), text);
    return at(name);
  };
  return { at, file };
}
