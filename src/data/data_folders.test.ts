/** @file Tests of what is said about wrong folders of a data set. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../test/support/ava_folder.js';
import { temporaryFolder } from '../../test/support/temporary_files.js';
import type { Config } from '../config/index.js';
import { defineConfig } from '../config/index.js';
import { checkData } from '../data_tools/check/check.js';
import { showClips } from '../data_tools/show_clips.js';
import { EvaluationSet } from '../evaluation/evaluation_set.js';
import { evaluateCheckpoint } from '../training/evaluate_checkpoint.js';
import { train } from '../training/train.js';
import { requireDataFolders } from './data_folders.js';
import { noLabelMap } from './datasets/label_names.js';

function errorOf(cfg: Config): string {
  try {
    requireDataFolders(cfg);
  } catch (error) {
    expect(error).toMatchObject({ name: 'DataError' });
    return (error as Error).message;
  }
  return 'is right';
}

const small = (): Promise<AvaFolder> =>
  makeAvaFolder({
    videos: { a: { frames: 1, width: 16, height: 16 } },
    annotations: ['a,902,0.1,0.2,0.5,0.8,1,0'],
  });

describe('a folder of the data set', () => {
  it('is named if it is missing, a file, empty, an address or another folder', async () => {
    const ava = await small();
    const { folder } = ava;
    const root = (path: string) => errorOf(ava.config({ 'DATA.PATH_TO_DATA_DIR': path }));
    expect(root(folder)).toBe('is right');
    expect(root('/none/data')).toMatch(
      /^DATA\.PATH_TO_DATA_DIR: \/none\/data: there is no such folder; set it/,
    );
    expect(root('none')).toMatch(
      /^DATA\.PATH_TO_DATA_DIR: none \(\/.*\/none\): there is no such folder; set it/,
    );
    expect(root(ava.write('note.txt', ''))).toMatch(/note\.txt: it is a file, not a folder; set it/);
    expect(root('')).toMatch(
      /^DATA\.PATH_TO_DATA_DIR is empty, and the current folder, \S+, has no frame_lists\/, annotations/,
    );
    expect(root('s3://bucket/ava')).toMatch(/^DATA\.PATH_TO_DATA_DIR: s3:\S+ this is an address/);
    expect(root(join(folder, 'frames'))).toMatch(
      `has no frame_lists/, annotations_v2.2/ and no frames/; ${folder} has them`,
    );
    renameSync(folder, `${folder}-X`);
    mkdirSync(join(folder, 'other'), { recursive: true });
    expect(root(folder)).toMatch(/and no frames\/; it must be the folder that holds them$/);
    expect(root(`${folder}-x`)).toMatch(`but there is ${folder}-X, which differs only in letter case`);
    expect(root(`${folder}-X `)).toMatch(
      `but there is ${folder}-X, which differs only in spaces at its ends`,
    );
    expect(root('~/ava')).toMatch('variables such as $HOME are not expanded here: write the whole path');
    expect(root('$HOME/ava')).toMatch('write the whole path');
  });

  it('is named once if it is the one of the lists, the annotations or the frames', async () => {
    const ava = await small();
    const missing = (changes: Record<string, string>) => errorOf(ava.config(changes));
    expect(missing({ 'AVA.FRAME_LIST_DIR': 'lists/' })).toMatch(
      /^AVA\.FRAME_LIST_DIR: \S+\/lists: there is no such folder; it must be in/,
    );
    expect(missing({ 'AVA.ANNOTATION_DIR': 'annotations/' })).toMatch(
      /^AVA\.ANNOTATION_DIR: \S+\/annotations: there is no such folder, but there is \S+; set it to annotations_v2\.2$/,
    );
    expect(missing({ 'AVA.FRAME_DIR': 'Frames/' })).toMatch(
      /^AVA\.FRAME_DIR: \S+: there is no such folder, but there is \S+\/frames, .* letter case/,
    );
    expect(missing({ 'AVA.FRAME_DIR': 'frame_lists/train.csv' })).toMatch(
      /^AVA\.FRAME_DIR: .* it is a file, not a folder/,
    );
    expect(missing({ 'AVA.FRAME_LIST_DIR': 'x', 'AVA.FRAME_DIR': 'y' })).toMatch(
      /^2 folders of the data set are wrong:\n {2}AVA\.FRAME_LIST_DIR.*\n {2}AVA\.FRAME_DIR/,
    );
  });

  it('is not needed for files with absolute paths', async () => {
    const ava = await small();
    const list = join(ava.folder, 'frame_lists/train.csv');
    const changes = { 'AVA.FRAME_LIST_DIR': 'none', 'AVA.TRAIN_LISTS': [list], 'AVA.TEST_LISTS': [list] };
    expect(errorOf(ava.config(changes))).toBe('is right');
  });

  it('is reported first and alone by training, testing, checking and showing', async () => {
    const out = temporaryFolder();
    const loaded = defineConfig({
      DATA: { PATH_TO_DATA_DIR: '/none/data' },
      MODEL: { WEIGHT: '/none.pth' },
      OUTPUT_DIR: join(out, 'run'),
    });
    const cfg = loaded.config;
    const says = /^DATA\.PATH_TO_DATA_DIR: \/none\/data: there is no such folder[^\n]*$/;
    await expect(train(loaded)).rejects.toThrow(says);
    await expect(evaluateCheckpoint(loaded)).rejects.toThrow(says);
    await expect(checkData(cfg)).rejects.toThrow(says);
    await expect(showClips(cfg, { split: 'train', clips: 1, augmented: false, out })).rejects.toThrow(says);
    expect(() => new EvaluationSet(cfg)).toThrow(says);
    expect(noLabelMap(cfg)).toMatch(
      /^DATA\.PATH_TO_DATA_DIR: \/none\/data: there is no such folder.* numbers instead of names$/,
    );
  });
});

it('a label map that is missing in a folder that is there is named', async () => {
  const ava = await small();
  writeFileSync(join(ava.folder, 'annotations_v2.2', 'other.txt'), '');
  expect(noLabelMap(ava.config())).toMatch(/^there is no label map /);
});
