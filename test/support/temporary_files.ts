/** @file Folders for the files of tests, removed without further calls. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, TestRunner } from 'vitest';

const make = () => mkdtempSync(join(tmpdir(), 'stmixer-test-'));
const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });

/** Makes an empty folder for the test that runs, and removes it after the test. Works in beforeEach, too. */
export function temporaryFolder(): string {
  const folder = make();
  onTestFinished(() => remove(folder));
  return folder;
}

const foldersOfFile: string[] = [];

/** Called after the last test of each file. */
export function removeFoldersOfFile(): void {
  foldersOfFile.splice(0).forEach(remove);
}

/** Makes an empty folder in beforeAll, and removes it after the last test of the file. */
export function temporaryFolderOfFile(): string {
  const folder = make();
  foldersOfFile.push(folder);
  return folder;
}

/** An empty folder for each test, made when the test first asks for a path in it. */
export function temporaryFiles() {
  const folders = new WeakMap<object, string>();
  const folderOfTest = () => {
    const test = TestRunner.getCurrentTest();
    if (!test) throw new Error('temporaryFiles is for tests and beforeEach');
    const folder = folders.get(test) ?? temporaryFolder();
    folders.set(test, folder);
    return folder;
  };
  const at = (...names: string[]) => join(folderOfTest(), ...names);
  /** Writes a file and returns its path. */
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(at(name), content);
    return at(name);
  };
  return { at, file };
}
