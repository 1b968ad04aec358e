/** @file Tests of paths that lead to the same file, and of paths that lead to none. */
import { linkSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { sameFiles } from './same_files.js';

const { at } = temporaryFiles();

it('pairs links with the file that they lead to', () => {
  writeFileSync(at('a'), '');
  writeFileSync(at('b'), '');
  linkSync(at('a'), at('hard'));
  symlinkSync(at('b'), at('soft'));
  expect(sameFiles([at('a'), at('b'), at('hard'), at('soft')])).toEqual([
    [at('a'), at('hard')],
    [at('b'), at('soft')],
  ]);
});

it('leaves out paths that are missing, lead through a file, or are links in a circle', () => {
  writeFileSync(at('file'), '');
  symlinkSync(at('circle'), at('circle'));
  expect(sameFiles([at('missing'), at('file', 'x'), at('file', 'x'), at('circle'), at('circle')])).toEqual(
    [],
  );
});
