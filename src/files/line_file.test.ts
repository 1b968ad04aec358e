/** @file Lines on a disk that refuses, and after half a line. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import { LineFile } from './line_file.js';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

it('starts a new line after half a line from a killed run', () => {
  const path = join(folder, 'lines');
  writeFileSync(path, '{"a":1}\n{"a":');
  const file = new LineFile(path, vi.fn());
  file.append('2');
  file.append('3');
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":\n2\n3\n');
});

it('keeps lines while the folder is missing, and reports that once each time', () => {
  const warn = vi.fn();
  const away = join(folder, 'away');
  const here = join(folder, 'here');
  mkdirSync(here);
  const file = new LineFile(join(here, 'lines'), warn);
  file.append('1');
  renameSync(here, away);
  file.append('2');
  file.append('3');
  renameSync(away, here);
  file.append('4');
  expect(readFileSync(join(here, 'lines'), 'utf8')).toBe('1\n2\n3\n4\n');
  expect(warn).toHaveBeenCalledOnce();
  renameSync(here, away);
  file.append('5');
  expect(warn).toHaveBeenCalledTimes(2);
});
