/** @file Folders for the files of tests, removed without further calls. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, onTestFinished } from 'vitest';

const make = () => mkdtempSync(join(tmpdir(), 'stmixer-test-'));
const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });

/** Makes an empty folder for the test that runs, and removes it after the test. Works in beforeEach, too. */
export function temporaryFolder(): string {
  const folder = make();
  onTestFinished(() => remove(folder));
  return folder;
}

const foldersOfFile: string[] = [];
// After-hooks run in reverse order: this one comes after those of the test file, which may end processes.
afterAll(() => foldersOfFile.splice(0).forEach(remove));

/** Makes an empty folder in beforeAll, and removes it after the last test of the file. */
export function temporaryFolderOfFile(): string {
  const folder = make();
  foldersOfFile.push(folder);
  return folder;
}

/** Makes an empty folder for each test of a file or of a describe block. */
export function temporaryFiles() {
  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  const at = (...names: string[]) => join(folder, ...names);
  /** Writes a file and returns its path. */
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(at(name), content);
    return at(name);
  };
  return { at, file };
}
