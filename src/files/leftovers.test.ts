/** @file Folders that killed processes leave behind. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { removeLeftovers, temporaryPrefix } from './leftovers.js';

const { at } = temporaryFiles();

it('removes the folders of processes that have ended, and no others', () => {
  const ended = spawnSync(process.execPath, ['--version']).pid;
  const own = `${temporaryPrefix()}abc`;
  const left = own.replace(`-${process.pid}-`, `-${ended}-`);
  const elsewhere = left.replace(/frames-\w+-/, 'frames-0123abcd-');
  const kept = [own, elsewhere, 'stmixer-frames-old', `other-${ended}-x`];
  for (const name of [left, ...kept]) mkdirSync(at(name));
  writeFileSync(at(left, 'frame_000001.jpg'), '');
  removeLeftovers(at());
  expect(readdirSync(at()).sort()).toEqual([...kept].sort());
  removeLeftovers(at('none'));
});
