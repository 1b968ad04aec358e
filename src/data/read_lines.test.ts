/** @file Tests of the reasons why a list cannot be read. */
import { symlinkSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { DataError } from '../errors.js';
import { readLines } from './read_lines.js';

const { at } = temporaryFiles();

it('says that a path which leads through a file does not exist', () => {
  writeFileSync(at('file'), '');
  const read = () => [...readLines(at('file', 'list.csv'), 'list')];
  expect(read).toThrow(DataError);
  expect(read).toThrow(/there is no such file/);
});

it('names the target of a link that leads nowhere', () => {
  symlinkSync('nowhere.csv', at('list.csv'));
  expect(() => [...readLines(at('list.csv'), 'list')]).toThrow(
    /it is a link to nowhere\.csv, which is missing/,
  );
});
