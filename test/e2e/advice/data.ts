/** @file Advice about data sets and about videos and pictures to look at. */
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { AvaDataset } from '../../../src/data/datasets/ava_dataset.js';
import { checkData } from '../../../src/data_tools/check/check.js';
import { checkText } from '../../../src/data_tools/check/check_report.js';
import { openInput } from '../../../src/detect/input.js';
import { type AvaFolder, makeAvaFolder } from '../../support/ava_folder.js';
import {
  type Advice,
  commandLine,
  found,
  type Outcome,
  outcomeOf,
  program,
  settings,
  withEnv,
} from './advice.js';

const BOX = '0.1,0.2,0.5,0.8';

/** A data set of two videos with nothing wrong in it. */
async function dataSet(annotations: string[] = [`a,902,${BOX},1,0`, `b,903,${BOX},1,0`]): Promise<AvaFolder> {
  const ava = await makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 }, b: { frames: 8, width: 40, height: 24 } },
    annotations,
  });
  const labels = [1, 2, 3].map((id) => `item { name: "action ${id}" id: ${id} }\n`);
  ava.write('annotations_v2.2/ava_action_list_v2.2_for_activitynet_2019.pbtxt', labels.join(''));
  ava.write('annotations_v2.2/ava_val_excluded_timestamps_v2.2.csv', 'a,0902\n');
  return ava;
}

/** A data set whose clips use more frames than the check decodes unasked; all are one file that is quickly found to be no picture. */
async function longVideo(): Promise<AvaFolder> {
  const ava = await dataSet(Array.from({ length: 68 }, (_, i) => `a,${902 + i},${BOX},1,0`));
  ava.write('annotations_v2.2/ava_val_v2.2.csv', `a,902,${BOX},1,0\n`);
  ava.write('frames/a/a_000000.jpg', 'no picture');
  const rows = Array.from({ length: 2500 }, (_, i) => `a 0 ${i} a/a_000000.jpg ""\n`).join('');
  for (const list of ['train.csv', 'val.csv'])
    ava.write(`frame_lists/${list}`, `original_vido_id video_id frame_id path labels\n${rows}`);
  return ava;
}

/** What `stmixer data check` reports. */
function check(
  ava: AvaFolder,
  changes: Record<string, unknown>,
  how: 'deep' | 'sample' = 'deep',
): Promise<Outcome> {
  const cfg = ava.config({ 'MODEL.STM.ACTION_CLASSES': 3, 'SOLVER.ITER_PER_EPOCH': 1, ...changes });
  return outcomeOf(async () =>
    checkText(await checkData(cfg, { deep: how === 'deep' }), { colour: false, width: 100 }),
  );
}

/** A finding of the check, and settings that it proposes. */
function finding(
  says: string,
  make: () => Promise<AvaFolder>,
  settings: { wrong: Record<string, unknown>; right(text: string): Record<string, unknown> },
): Advice {
  let ava: AvaFolder;
  return {
    says,
    async meet() {
      ava = await make();
      return check(ava, settings.wrong);
    },
    follow: (_, text) => check(ava, settings.right(text)),
  };
}

/** Answers like ffmpeg and ffprobe to films of 4 s, and writes one picture for each. */
function fakeFfmpeg(folder: string): string {
  const path = join(folder, 'bin');
  mkdirSync(path, { recursive: true });
  const extract = 'for out; do :; done; printf x > "$(printf "$out" 1)"';
  program(
    path,
    'ffmpeg',
    `PATH=/usr/bin:/bin
case "$*" in
-version) exit 0;;
*image2*) ${extract};;
*) echo '  Duration: 00:00:04.00, start: 0' >&2; echo '  Stream #0:0: Video: h264' >&2; exit 1;;
esac`,
  );
  return path;
}

/** `stmixer data prepare` of one video, whose flags are `words`. */
async function prepare(folder: string, words: string): Promise<Outcome> {
  mkdirSync(join(folder, 'videos'), { recursive: true });
  writeFileSync(join(folder, 'videos', 'film.mp4'), 'a film');
  const path = fakeFfmpeg(folder);
  const flags = words.split(' ').filter(Boolean);
  const out = flags.includes('--out') ? [] : ['--out', join(folder, 'data')];
  return withEnv({ PATH: path }, () =>
    commandLine('data', 'prepare', '--videos', join(folder, 'videos'), ...out, ...flags),
  );
}

/** The words of a command line, without the quotes of the shell. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c);
}

/** `stmixer detect`, up to the point where the weights are read. */
async function look(folder: string, { input, out }: { input: string; out: string }): Promise<Outcome> {
  copyFileSync('sample/frames/vtest_val/vtest_val_000001.jpg', join(folder, 'frame_1.jpg'));
  const words = ['--config-file', 'config_files/tiny.yaml', '--input', input, '--out', out];
  const weights = join(folder, 'broken.pth');
  writeFileSync(weights, 'no weights');
  const { text } = await commandLine('detect', ...words, 'MODEL.WEIGHT', weights);
  return { text, failed: !/broken\.pth: is not a PyTorch checkpoint/.test(text) };
}

/** An ffmpeg that has no room for pictures. */
function fullDisk(folder: string): string {
  const path = fakeFfmpeg(folder);
  const lines = readFileSync(join(path, 'ffmpeg'), 'utf8').replace(
    /\*image2\*\).*;;/,
    '*image2*) echo "No space left on device" >&2; exit 1;;',
  );
  writeFileSync(join(path, 'ffmpeg'), lines);
  return path;
}

/** Opens a video whose frames go into a folder for temporary files. */
async function open(folder: string, TMPDIR: string, makeFfmpeg = fakeFfmpeg): Promise<Outcome> {
  const video = join(folder, 'film.mp4');
  writeFileSync(video, 'a film');
  return withEnv({ PATH: makeFfmpeg(folder), TMPDIR }, () =>
    outcomeOf(async () => {
      const frames = await openInput(video, { fps: 10, signal: new AbortController().signal });
      frames.close();
    }),
  );
}

const FRAME = 'sample/frames/vtest_val/vtest_val_000001.jpg';

/** Opens a path as detection does. */
function openFrames(input: string, fps = 30): Promise<Outcome> {
  return outcomeOf(async () => {
    const frames = await openInput(input, { fps, signal: new AbortController().signal });
    frames.close();
    return frames.warnings.join('\n');
  });
}

/** A folder of frames with these numbers. */
function numbered(folder: string, numbers: readonly number[]): string {
  for (const number of numbers) copyFileSync(FRAME, join(folder, `frame_${number}.jpg`));
  return folder;
}

/** A picture of another size than the frames. */
const otherPicture = (path: string) =>
  sharp({ create: { width: 40, height: 24, channels: 3, background: 'red' } }).toFile(path);

function preparing(says: string, wrong: string, right: (text: string, folder: string) => string): Advice {
  return {
    says,
    meet: (folder) => prepare(folder, wrong),
    follow: (folder, text) => prepare(folder, right(text, folder)),
  };
}

export const DATA: readonly Advice[] = [
  finding('would fit all', dataSet, {
    wrong: { 'AVA.FPS': 30 },
    right: (text) => ({ 'AVA.FPS': Number(found(text, /AVA\.FPS (\d+) would fit all/)) }),
  }),
  finding(
    'boxes are shown on the wrong frames',
    async () => {
      const ava = await dataSet();
      const note = { start: 0, end: 900, fps: 2, shortSide: 340, frames: 8, source: 'a.mp4', bytes: 1 };
      for (const video of ['a', 'b']) ava.write(`frames/${video}/.prepared.json`, JSON.stringify(note));
      return ava;
    },
    {
      wrong: {},
      right: (text) => ({ 'AVA.FPS': Number(found(text, /set AVA\.FPS (\d+)/)) }),
    },
  ),
  ...['DATA.MISSING skip leaves out what is missing', 'set DATA.MISSING skip to leave the video out'].map(
    (says): Advice =>
      finding(
        says,
        async () => {
          const ava = await dataSet([
            `a,902,${BOX},1,0`,
            `b,903,${BOX},1,0`,
            `a,904,${BOX},1,0`,
            `d,903,${BOX},1,0`,
          ]);
          rmSync(ava.framePath('b', 3));
          return ava;
        },
        { wrong: {}, right: () => ({ 'DATA.MISSING': 'skip' }) },
      ),
  ),
  finding(
    'if the first frame of each video is second 0',
    () => dataSet([`a,0,${BOX},1,0`, `b,1.5,${BOX},1,0`]),
    {
      wrong: {},
      right: (text) => ({ 'AVA.FIRST_SECOND': Number(found(text, /set AVA\.FIRST_SECOND (\d+)/)) }),
    },
  ),
  finding('to use rows up to second', () => dataSet([`a,902,${BOX},1,0`, `b,1799.5,${BOX},1,0`]), {
    wrong: {},
    right: (text) => ({ 'AVA.LAST_SECOND': Number(found(text, /set AVA\.LAST_SECOND (\d+)/)) }),
  }),
  finding(
    'so that `stmixer detect` looks at the same times',
    () => dataSet([902, 902.5, 903.5].map((t) => `a,${t},${BOX},1,0`)),
    {
      wrong: {},
      right: (text) => ({ 'AVA.KEY_FRAME_STEP': Number(found(text, /set AVA\.KEY_FRAME_STEP (\S+),/)) }),
    },
  ),
  finding(
    'if the annotations use the seconds of the video',
    async () => {
      const ava = await dataSet([`a,2,${BOX},1,0`, `b,3,${BOX},1,0`]);
      const note = { start: 1, end: 9, fps: 1, shortSide: 340, frames: 8, source: 'a.mp4', bytes: 1 };
      for (const video of ['a', 'b']) ava.write(`frames/${video}/.prepared.json`, JSON.stringify(note));
      return ava;
    },
    {
      wrong: { 'AVA.FIRST_SECOND': 0 },
      right: (text) => ({ 'AVA.FIRST_SECOND': Number(found(text, /set AVA\.FIRST_SECOND (\d+),/)) }),
    },
  ),
  finding('raise MODEL.STM.NUM_QUERIES', () => dataSet([`a,902,${BOX},1,0`, `a,902,0.2,0.2,0.6,0.9,1,1`]), {
    wrong: { 'MODEL.STM.NUM_QUERIES': 1 },
    right: () => ({ 'MODEL.STM.NUM_QUERIES': 2 }),
  }),
  finding('the highest action id', dataSet, {
    wrong: { 'MODEL.STM.ACTION_CLASSES': 80 },
    right: (text) => ({
      'MODEL.STM.ACTION_CLASSES': Number(found(text, /set MODEL\.STM\.ACTION_CLASSES (\d+),/)),
    }),
  }),
  finding('for one data pass', dataSet, {
    wrong: { 'SOLVER.ITER_PER_EPOCH': 100 },
    right: (text) => ({
      'SOLVER.ITER_PER_EPOCH': Number(found(text, /set SOLVER\.ITER_PER_EPOCH (\d+) for/)),
    }),
  }),
  finding('set MODEL.STM.ACTION_CLASSES to the highest id', dataSet, {
    wrong: { 'MODEL.STM.ACTION_CLASSES': 2 },
    right: () => ({ 'MODEL.STM.ACTION_CLASSES': 3 }),
  }),
  finding(
    'set DATALOADER.ASPECT_RATIO_GROUPING to False',
    async () => {
      const ava = await dataSet();
      await sharp({ create: { width: 40, height: 24, channels: 3, background: 'red' } })
        .webp()
        .toFile(ava.framePath('a', 2).replace('.jpg', '.webp'));
      renameSync(ava.framePath('a', 2).replace('.jpg', '.webp'), ava.framePath('a', 2));
      return ava;
    },
    {
      wrong: { 'DATALOADER.ASPECT_RATIO_GROUPING': true },
      right: () => ({ 'DATALOADER.ASPECT_RATIO_GROUPING': false }),
    },
  ),
  {
    says: '--deep decodes all of them',
    meet: async () => check(await longVideo(), { 'AVA.FPS': 30, 'DATA.NUM_FRAMES': 32 }, 'sample'),
    follow: async () => check(await longVideo(), { 'AVA.FPS': 30, 'DATA.NUM_FRAMES': 32 }, 'deep'),
  },
  {
    says: 'ava_kinetics is not supported; use ava_v2.2',
    meet: () =>
      outcomeOf(async () =>
        AvaDataset.open((await dataSet()).config({ 'DATA.DATASETS': ['ava_kinetics'] }), 'train'),
      ),
    follow: (_, text) =>
      outcomeOf(async () =>
        AvaDataset.open((await dataSet()).config({ 'DATA.DATASETS': [found(text, /use (\S+),/)] }), 'train'),
      ),
  },
  preparing('must come after --start', '--start 5 --end 5', () => '--start 0 --end 5'),
  preparing('--start 0 extracts frames from the beginning of the videos', '', () => '--start 0'),
  {
    says: 'use the same flags, choose another --out, or delete the folder',
    meet: async (folder) => {
      await prepare(folder, '--start 0');
      return prepare(folder, '--start 0 --fps 10');
    },
    follow: (folder, text) => prepare(folder, found(text, /was made with (.+), not/)),
  },
  {
    says: 'move it away, or choose another --out',
    meet: (folder) => {
      mkdirSync(join(folder, 'data', 'frames', 'film'), { recursive: true });
      return prepare(folder, '--start 0');
    },
    follow: (folder) => prepare(folder, `--start 0 --out ${join(folder, 'other')}`),
  },
  {
    says: 'Settings for this data: DATA.PATH_TO_DATA_DIR',
    meet: (folder) => prepare(folder, '--start 0'),
    follow: (_, text) => settings(...shellWords(found(text, /Settings for this data: (.+)/))),
  },
  {
    says: 'choose another folder',
    meet: (folder) => look(folder, { input: folder, out: folder }),
    follow: (folder) => look(folder, { input: folder, out: join(folder, 'results') }),
  },
  {
    says: 'cannot be stored there',
    meet: (folder) => open(folder, join(folder, 'none')),
    follow: (folder) => open(folder, folder),
  },
  {
    says: 'try --input',
    meet: (folder) => {
      mkdirSync(join(folder, 'deeper'));
      numbered(join(folder, 'deeper'), [1, 2]);
      return openFrames(folder);
    },
    follow: (_, text) => openFrames(found(text, /try --input (\S+)/)),
  },
  {
    says: 'AVA.FPS must be 1/',
    meet: (folder) => openFrames(numbered(folder, [1, 6, 11, 16])),
    follow: (folder, text) => openFrames(folder, Number(found(text, /e\.g\. AVA\.FPS (\d+)/))),
  },
  {
    says: 'or move files that are not frames out of the folder',
    meet: (folder) => {
      writeFileSync(join(numbered(folder, [1, 2]), 'frame_3.jpg'), 'no picture');
      return openFrames(folder);
    },
    follow: (folder) => {
      rmSync(join(folder, 'frame_3.jpg'));
      return openFrames(folder);
    },
  },
  {
    says: 'give images that are not frames one by one',
    meet: async (folder) => {
      await otherPicture(join(numbered(folder, [1, 2]), 'frame_3.jpg'));
      return openFrames(folder);
    },
    follow: (folder) => openFrames(join(folder, 'frame_3.jpg')),
  },
  {
    says: 'there is no space left for the frames of',
    meet: (folder) => open(folder, folder, fullDisk),
    follow: (folder) => open(folder, folder),
  },
  {
    says: 'is not on the PATH. Install it with',
    meet: async (folder) => {
      await prepare(folder, '--start 0');
      rmSync(join(folder, 'data'), { recursive: true });
      rmSync(join(folder, 'bin'), { recursive: true });
      return withEnv({ PATH: join(folder, 'bin') }, () =>
        commandLine('data', 'prepare', '--videos', join(folder, 'videos'), '--out', join(folder, 'data')),
      );
    },
    follow: (folder) => prepare(folder, '--start 0'),
  },
];
