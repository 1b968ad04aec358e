/** @file Which second the beginning of an input is. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { temporaryFolderOfFile } from '../../test/support/temporary_files.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { firstSecondOf } from './first_second.js';

let data: string;
beforeAll(() => {
  data = temporaryFolderOfFile();
  for (const name of ['old', 'mine', 'movie']) mkdirSync(join(data, 'frames', name), { recursive: true });
  for (let n = 0; n < 40; n++) writeFileSync(join(data, 'frames', 'old', `old_${n}.jpg`), '');
  const note = { end: 1800, fps: 10, shortSide: 340, frames: 40, source: 'x.mp4', bytes: 1 };
  for (const [name, start] of [
    ['mine', 0],
    ['movie', 900],
  ] as const) {
    writeFileSync(join(data, 'frames', name, '.prepared.json'), JSON.stringify({ ...note, start }));
  }
});

const second = (name: string, kind: 'video' | 'folder' | 'image', frames = 40, firstSecond = 900) => {
  const cfg = tinyConfig({ 'DATA.PATH_TO_DATA_DIR': data, 'AVA.FIRST_SECOND': firstSecond });
  return firstSecondOf(cfg, { name, kind, fps: 10, paths: Array(frames).fill('') });
};

it('returns null if an input is not in the data set', () => {
  expect([second('other', 'video'), second('other', 'folder'), second('old_000001', 'image')]).toEqual([
    null,
    null,
    null,
  ]);
});

it('returns 900 for frames of the data set', () => {
  expect([second('old', 'folder'), second('mine', 'folder'), second('movie', 'folder')]).toEqual([
    900, 900, 900,
  ]);
});

it('uses the start second in the note of `data prepare`', () => {
  expect([second('mine', 'video'), second('movie', 'video')]).toEqual([900, 0]);
});

it('returns 900 for a video without a note that is as long as its frames, and 0 for a longer one', () => {
  expect([second('old', 'video'), second('old', 'video', 50), second('old', 'video', 400)]).toEqual([
    900, 900, 0,
  ]);
});

it('uses the time base of the data set', () => {
  expect([second('old', 'folder', 40, 0), second('old', 'video', 40, 0)]).toEqual([0, 0]);
  expect([second('mine', 'folder', 40, 0), second('mine', 'video', 40, 0)]).toEqual([0, 0]);
  expect([second('movie', 'folder', 40, 12.5), second('mine', 'video', 40, 12.5)]).toEqual([12.5, 12.5]);
});
