/** @file Tests of the data set: what is found before training, and what a broken frame says. */
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../../test/support/ava_folder.js';
import { Rng } from '../../util/random.js';
import { AvaDataset } from './ava_dataset.js';

const BOX = '0.1,0.2,0.5,0.8';
const make = () =>
  makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 }, b: { frames: 6, width: 24, height: 30 } },
    annotations: [`b,904,${BOX},3,0`, `a,902,${BOX},1,0`, `a,902,${BOX},80,0`, `a,905,0,0,1,1,,0`],
  });

/** At one frame per second and 4 frames per clip, second 902 uses frames 0…3. */
const open = (ava: AvaFolder, changes: Record<string, unknown> = {}) =>
  AvaDataset.open(ava.config(changes), 'train');
const refused = (message: RegExp) =>
  expect.objectContaining({ name: 'DataError', exitCode: 3, message: expect.stringMatching(message) });

describe('AvaDataset.open', () => {
  it('lists clips in the order of videos and time', async () => {
    const ava = await make();
    const dataset = open(ava);
    expect(dataset.warnings).toEqual([]);
    expect(dataset.length).toBe(3);
    expect(dataset.numBoxes).toBe(3);
    expect([0, 1, 2].map((i) => dataset.source(i).info)).toEqual([
      { clipId: 0, videoIndex: 0, videoName: 'a', second: 902 },
      { clipId: 1, videoIndex: 0, videoName: 'a', second: 905 },
      { clipId: 2, videoIndex: 1, videoName: 'b', second: 904 },
    ]);
    expect(dataset.source(2).paths).toEqual([2, 3, 4, 5].map((frame) => ava.framePath('b', frame)));
  });

  it('joins several lists of each split, with any number of classes', async () => {
    const ava = await make();
    const list = (video: string, frames: number) =>
      [
        'header',
        ...Array.from({ length: frames }, (_, i) => `${video} 0 ${i} ${video}/${video}_00000${i}.jpg ""`),
      ]
        .map((line) => `${line}\n`)
        .join('');
    ava.write('frame_lists/a.csv', list('a', 8));
    ava.write('frame_lists/b.csv', list('b', 6));
    ava.write('annotations_v2.2/first.csv', `b,904,${BOX},3,0\na,902,${BOX},1,0\n`);
    ava.write('annotations_v2.2/second.csv', `a,902,${BOX},2,0\na,903,${BOX},3,0\n`);
    const config = ava.config({
      'MODEL.STM.ACTION_CLASSES': 3,
      ...Object.fromEntries(
        ['TRAIN', 'TEST'].flatMap((split) => [
          [`AVA.${split}_LISTS`, ['b.csv', 'a.csv']],
          [`AVA.${split}_GT_BOX_LISTS`, ['first.csv', 'second.csv']],
        ]),
      ),
    });
    for (const split of ['train', 'test'] as const) {
      const dataset = AvaDataset.open(config, split);
      const clips = [0, 1, 2].map((i) => dataset.source(i));
      expect(clips.map(({ info }) => [info.videoName, info.second])).toEqual([
        ['b', 904],
        ['a', 902],
        ['a', 903],
      ]);
      // The same box in both files is one box.
      expect(clips.map(({ labels }) => labels)).toEqual([[[3]], [[1, 2]], [[3]]]);
      expect([...(await dataset.load(1, new Rng(0))).labels]).toEqual([1, 1, 0]);
    }
  });

  it('names missing frames, but only those that a clip uses', async () => {
    const ava = await make();
    rmSync(ava.framePath('a', 7));
    rmSync(ava.framePath('b', 0));
    expect(open(ava).length).toBe(3);
    // Both clips of this video use frame 3; it is named once.
    rmSync(ava.framePath('a', 3));
    expect(() => open(ava)).toThrow(
      refused(/^\S*a_000003\.jpg: video a, second 902: the file is missing; extract/),
    );
    rmSync(ava.framePath('b', 5));
    expect(() => open(ava)).toThrow(
      refused(/^2 problems in the data:[\s\S]*a_000003[\s\S]*b_000005\.jpg: video b, second 904/),
    );
  });

  it('names a missing folder once', async () => {
    const ava = await make();
    renameSync(join(ava.folder, 'frames', 'b'), join(ava.folder, 'frames', 'c'));
    expect(() => open(ava)).toThrow(refused(/frames\/b: .*the folder is missing; extract/));
    expect(() => open(ava, { 'AVA.FRAME_DIR': 'images' })).toThrow(
      refused(/^AVA\.FRAME_DIR: \S+images: there is no such folder; it must be in/),
    );
  });

  it('names a video without frames, with the line of its first row', async () => {
    const ava = await make();
    ava.write(
      'annotations_v2.2/ava_train_v2.2.csv',
      `a,902,${BOX},1,0\nz,902,${BOX},1,0\nz,903,${BOX},1,0\ny,903,${BOX},1,0\n`,
    );
    expect(() => open(ava)).toThrow(
      refused(
        /^2 problems[\s\S]*train_v2\.2\.csv:2: video z \(2 rows\) is in none of the frame lists[\s\S]*csv:4: video y \(1 row\)/,
      ),
    );
  });

  it('warns of videos without boxes and of seconds beyond a video', async () => {
    const ava = await make();
    ava.write('annotations_v2.2/ava_train_v2.2.csv', `a,902,${BOX},1,0\na,950,${BOX},1,0\n`);
    const dataset = open(ava);
    expect(dataset.warnings).toEqual([
      expect.stringMatching(/^1 of 2 videos .* no annotation \(first: b\)$/),
      expect.stringMatching(
        /^1 key frames lie beyond .*video a, second 950 is frame 50 of 8 at AVA\.FPS 1\)$/,
      ),
    ]);
    expect(dataset.source(1).paths).toEqual(Array(4).fill(ava.framePath('a', 7)));
  });

  it('counts rows that add nothing and boxes without an action', async () => {
    const ava = await make();
    ava.write(
      'annotations_v2.2/ava_train_v2.2.csv',
      `a,902,${BOX},1,0\na,902,${BOX},1,0\na,905,0,0,1,1,,0\nb,903,${BOX},1,0\n`,
    );
    expect(open(ava).notes).toEqual([
      expect.stringMatching(
        /^1 annotation row repeats the box and action of an earlier one \(first: \S+train_v2\.2\.csv:2\) and adds nothing$/,
      ),
      '1 of 3 boxes have no action and count as persons only (first: video a, second 905)',
    ]);
  });

  it('warns about lists that are named twice, also by a link', async () => {
    const ava = await make();
    symlinkSync('train.csv', join(ava.folder, 'frame_lists/link.csv'));
    const changes = {
      'AVA.TRAIN_LISTS': ['train.csv', 'link.csv'],
      'AVA.TRAIN_GT_BOX_LISTS': ['ava_train_v2.2.csv', 'ava_train_v2.2.csv'],
    };
    expect(open(ava, changes).warnings).toEqual([
      expect.stringMatching(
        /^AVA\.TRAIN_LISTS names \S+train\.csv and \S+link\.csv, which are one file: .*; name it once$/,
      ),
      expect.stringMatching(
        /^AVA\.TRAIN_GT_BOX_LISTS names \S+train_v2\.2\.csv twice: its rows add nothing; name it once$/,
      ),
    ]);
  });

  it('refuses another kind of data set', async () => {
    const ava = await make();
    expect(() => open(ava, { 'DATA.DATASETS': ['ava_kinetics'] })).toThrow(
      expect.objectContaining({ name: 'ConfigError', message: expect.stringMatching(/ava_kinetics/) }),
    );
  });
});

describe('AvaDataset.load', () => {
  it('returns the same pixels, boxes and labels for the same random stream', async () => {
    const dataset = open(await make());
    const clip = await dataset.load(0, new Rng(4));
    expect(clip).toEqual(await dataset.load(0, new Rng(4)));
    expect([clip.numFrames, clip.originalHeight, clip.originalWidth]).toEqual([4, 24, 40]);
    expect([24, 32]).toContain(clip.height);
    expect(clip.frames.length).toBe(4 * clip.height * clip.width * 3);
    expect([...clip.whwh]).toEqual([clip.width, clip.height, clip.width, clip.height]);
    expect([...clip.labels.keys()].filter((i) => clip.labels[i])).toEqual([0, 79]);
    const both = await dataset.load(1, new Rng(4));
    expect(both.labels.every((value) => value === 0)).toBe(true);
    const scale = both.height / 24;
    expect([...both.boxes]).toEqual([0, 0, 39 * scale, 23 * scale].map(Math.fround));
    expect(both.boxes[2]).toBeLessThanOrEqual(both.width - 1);
  });

  it('repeats a frame that a clip uses several times', async () => {
    const ava = await make();
    // Frames 4, 5, 6, 7 and, with a centre beyond the end, 6, 7, 7, 7.
    ava.write('annotations_v2.2/ava_train_v2.2.csv', `a,906,${BOX},1,0\na,908,${BOX},1,0\n`);
    const dataset = open(ava, { 'DATA.RANDOM_FLIP': false, 'DATA.TRAIN_MIN_SCALES': [24] });
    const inside = await dataset.load(0, new Rng(0));
    const ending = await dataset.load(1, new Rng(0));
    const bytes = 24 * 40 * 3;
    const frame = (frames: Uint8Array, t: number) => frames.subarray(t * bytes, (t + 1) * bytes);
    for (const [t, same] of [2, 3, 3, 3].entries()) {
      expect(frame(ending.frames, t)).toEqual(frame(inside.frames, same));
    }
    expect(frame(inside.frames, 2)).not.toEqual(frame(inside.frames, 3));
  });

  it('names file, video and second of a broken frame', async () => {
    const ava = await make();
    const dataset = open(ava);
    const path = ava.framePath('a', 1);
    const whole = readFileSync(path);
    const second = 'a_000001\\.jpg: video a, second 902: ';
    writeFileSync(path, whole.subarray(0, whole.length - 80));
    await expect(dataset.load(0, new Rng(0))).rejects.toThrow(
      refused(new RegExp(`${second}the JPEG image is truncated`)),
    );
    writeFileSync(path, '');
    await expect(dataset.load(0, new Rng(0))).rejects.toThrow(
      refused(new RegExp(`${second}the file is empty`)),
    );
    rmSync(path);
    await expect(dataset.load(0, new Rng(0))).rejects.toThrow(
      refused(new RegExp(`${second}the file is missing`)),
    );
    await sharp(whole).resize(20, 20).toFile(path);
    await expect(dataset.load(0, new Rng(0))).rejects.toThrow(
      refused(new RegExp(`${second}the frame has 20×20 pixels, but .*a_000000\\.jpg has 40×24`)),
    );
    expect((await dataset.load(2, new Rng(0))).info.videoName).toBe('b');
  });
});

describe('missing data with a similar name', () => {
  const LIST = 'frame_lists/train.csv';
  const editList = (ava: AvaFolder, change: (text: string) => string) =>
    ava.write(LIST, change(readFileSync(join(ava.folder, LIST), 'utf8')));

  it.each<[string, (ava: AvaFolder) => unknown, Record<string, unknown>, RegExp]>([
    [
      'other separators',
      (ava) => editList(ava, (text) => text.replaceAll('a/a_', 'a\\a_')),
      {},
      /train\.csv:2: paths have backslashes, as on Windows; .* with "\/", .*found "a\\\\a_000000\.jpg"/,
    ],
    [
      'another ending',
      (ava) => editList(ava, (text) => text.replaceAll('.jpg', '.png')),
      {},
      /a_000000\.png: .* but there is \S+a_000000\.jpg, which differs only in its ending/,
    ],
    [
      'less padding',
      (ava) => editList(ava, (text) => text.replaceAll('a_00000', 'a_')),
      {},
      /a_0\.jpg: .* but there is \S+a_000000\.jpg, which differs only in leading zeros/,
    ],
    [
      'another case of a folder',
      (ava) => renameSync(join(ava.folder, 'frames/b'), join(ava.folder, 'frames/B')),
      {},
      /frames\/b: .* but the folder is missing, but there is \S+frames\/B, which differs only in letter case/,
    ],
    [
      'another case of the folder of all frames',
      () => {},
      { 'AVA.FRAME_DIR': 'Frames' },
      /Frames: there is no such folder, but there is \S+frames, .*letter case: /,
    ],
    [
      'another case of a list',
      () => {},
      { 'AVA.TRAIN_LISTS': ['Train.csv'] },
      /cannot read the frame list \(AVA\.TRAIN_LISTS\): there is no such file, but there is \S+frame_lists\/train\.csv/,
    ],
    [
      'another case of the annotations',
      () => {},
      { 'AVA.ANNOTATION_DIR': 'Annotations_v2.2' },
      /^AVA\.ANNOTATION_DIR: \S+Annotations_v2\.2: there is no such folder, but there is \S+annotations_v2\.2,/,
    ],
    [
      'another name of a video',
      (ava) => ava.write('annotations_v2.2/ava_train_v2.2.csv', `a.mp4,902,${BOX},1,0\n`),
      {},
      /video a\.mp4 \(1 row\) .*; they have a, which differs only in its ending: write the name the same way in both$/,
    ],
  ])('is reported with that name: %s', async (_, damage, changes, message) => {
    const ava = await make();
    damage(ava);
    expect(() => open(ava, changes)).toThrow(refused(message));
  });

  it('reports a list that is a broken link', async () => {
    const ava = await make();
    rmSync(join(ava.folder, LIST));
    symlinkSync('other.csv', join(ava.folder, LIST));
    expect(() => open(ava)).toThrow(refused(/train\.csv: .*: it is a link to other\.csv, which is missing/));
  });
});
