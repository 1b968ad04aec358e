/** @file `stmixer detect` and `stmixer data show`: what they write, and what they say where they cannot. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { saveModelWeights } from '../../src/checkpoint/model_weights.js';
import { defaultOut } from '../../src/cli/detect.js';
import { loadConfig } from '../../src/config/index.js';
import type { DetectionFile } from '../../src/detect/result_files.js';
import { float32Tensor } from '../../src/formats/host_tensor.js';
import { writePth } from '../../src/formats/pth/pth_writer.js';
import { Detector } from '../../src/model/detector.js';
import { initializeParameters } from '../../src/nn/module.js';
import { Rng } from '../../src/util/random.js';
import { start, stmixer, stmixerHere } from '../support/cli.js';
import { TEST_ENGINE } from '../support/engine.js';
import { randomize } from '../support/finite_difference.js';
import { temporaryFolderOfFile } from '../support/temporary_files.js';

const CONFIG = 'config_files/tiny.yaml';
const FRAMES = 'sample/frames/vtest_val';
const QUERIES = 10;
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

let folder: string;
let weights: string;

beforeAll(async () => {
  folder = temporaryFolderOfFile();
  weights = join(folder, 'tiny.pth');
  const model = new Detector(loadConfig(CONFIG).config);
  initializeParameters(model, 0);
  randomize(model, new Rng(5), 0.2);
  const state = Array.from(
    model.namedParameters(),
    ([name, { shape, value }]) => [name, float32Tensor(shape, value.dataSync() as Float32Array)] as const,
  );
  await writePth(weights, { model: new Map(state), iteration: 7 });
  model.dispose();
});

function args(input: string, out: string, flags = '', overrides = ''): string[] {
  const words = `${flags} --engine ${TEST_ENGINE} MODEL.WEIGHT ${weights} ${overrides}`.trim().split(/ +/);
  return ['detect', '--config-file', CONFIG, '--input', input, '--out', join(folder, out), ...words];
}

function results(out: string): DetectionFile {
  return JSON.parse(readFileSync(join(folder, out, 'detections.json'), 'utf8'));
}

/** A folder with the first frames of the sample. */
function someFrames(name: string, count: number): string {
  const target = join(folder, name);
  mkdirSync(target);
  for (const file of readdirSync(FRAMES).sort().slice(0, count))
    copyFileSync(join(FRAMES, file), join(target, file));
  return target;
}

/** Size and number of frames of a video, by decoding it. */
function decoded(video: string): { width: number; height: number; frames: number } {
  const frames = join(folder, 'decoded');
  rmSync(frames, { recursive: true, force: true });
  mkdirSync(frames);
  execFileSync('ffmpeg', [
    '-loglevel',
    'error',
    '-i',
    video,
    '-vsync',
    'passthrough',
    join(frames, '%d.ppm'),
  ]);
  const files = readdirSync(frames);
  const [, width, height] = /^P6\s+(\d+)\s+(\d+)/.exec(readFileSync(join(frames, files[0]), 'latin1'))!;
  return { width: Number(width), height: Number(height), frames: files.length };
}

describe('stmixer detect without a configuration file', { timeout: 180_000 }, () => {
  let own: string;
  let input: string;
  beforeAll(async () => {
    own = join(folder, 'own.pth');
    input = someFrames('any', 2);
    const model = new Detector(loadConfig(CONFIG).config);
    initializeParameters(model, 0);
    await saveModelWeights(model, own);
    model.dispose();
  });

  const detect = (out: string, words: string) =>
    stmixerHere([
      'detect',
      ...`--input ${input} --out ${join(folder, out)} --engine ${TEST_ENGINE} --no-video`.split(' '),
      ...`--threshold 0 --action-threshold 0 ${words}`.split(' '),
    ]);
  const actions = (out: string) =>
    new Set(
      results(out).keyFrames.flatMap(({ people }) =>
        people.flatMap((person) => person.actions.map((a) => a.name)),
      ),
    );
  const NAMES = new Set(['stand', 'walk', 'carry/hold (an object)']);

  it('takes settings and class names from the weights, and settings of the command line on top', async () => {
    const run = await detect('bare', `--weights ${own} AVA.FPS 2`);
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    expect(results('bare')).toMatchObject({ weights: own, fps: 2, complete: true });
    expect(actions('bare')).toEqual(NAMES);
    expect((await detect('key', `MODEL.WEIGHT ${own}`)).code).toBe(0);
  });

  it('follows a configuration file that is given, and says what contradicts the weights', async () => {
    const run = await detect(
      'both',
      `--config-file ${CONFIG} --weights ${own} DATA.SAMPLING_RATE 2 AVA.LABEL_MAP_FILE none.pbtxt`,
    );
    expect(run.stdout).toMatch(
      /warning: the configuration contradicts .*own\.pth, whose weights were trained with DATA\.SAMPLING_RATE 1 \(here 2\)\n/,
    );
    expect(run.stdout).not.toContain('label map');
    expect(actions('both')).toEqual(NAMES);
  });

  it.each([
    [
      'weights that do not say for which model they are',
      '--weights {}/tiny.pth',
      4,
      /tiny\.pth: does not say which model/,
    ],
    [
      'neither weights nor a configuration',
      'AVA.FPS 2',
      2,
      /name the weights of a trained model with --weights FILE, or/,
    ],
    ['weights that are not there', '--weights {}/none.pth', 4, /none\.pth: no such file/],
    ['two names for the weights', '--weights {}/own.pth MODEL.WEIGHT x.pth', 2, /both name the weights/],
    [
      'another number of classes',
      '--weights {}/own.pth MODEL.STM.ACTION_CLASSES 5',
      4,
      /the weights have 80 action classes/,
    ],
  ])('ends with a readable error for %s, and leaves nothing behind', async (_, words, code, message) => {
    const run = await detect('nothing', words.replaceAll('{}', folder));
    expect(run.stderr).toMatch(message);
    expect(run.code).toBe(code);
    expect(readdirIfThere('nothing')).toEqual([]);
  });

  it('writes into a folder named after the input if no other is named', () => {
    expect(defaultOut('/videos/street.mp4')).toBe('detections_street');
    expect(defaultOut('frames/')).toBe('detections_frames');
  });
});

function readdirIfThere(name: string): string[] {
  return existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : [];
}

describe('stmixer detect', { timeout: 180_000 }, () => {
  it('finds every person in a folder of frames', async () => {
    const input = someFrames('walkers', 21);
    writeFileSync(join(input, 'notes.txt'), 'notes');
    const run = await stmixerHere(
      args(input, 'frames', '--threshold 0 --action-threshold 0 --top 2 --no-video --show-sampling'),
    );
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/weights: .*tiny\.pth \(iteration 7\)/);
    expect(run.stdout).toMatch(/note: skipped in .*walkers: 1 text or document \(.*notes\.txt\)/);
    expect(run.stdout).toMatch(/a folder with 21 frames at 10 per second; 3 key frames/);
    expect(run.stdout).toMatch(/done: \d+ people at 3 key frames in .* clips per second/);

    const file = results('frames');
    expect(file).toMatchObject({
      kind: 'folder',
      fps: 10,
      numFrames: 21,
      weights,
      iteration: 7,
      personThreshold: 0,
    });
    expect(file.keyFrames.map(({ second, frame }) => [second, frame])).toEqual([
      [0, 0],
      [1, 10],
      [2, 20],
    ]);
    for (const { picture, people, notFinite } of file.keyFrames) {
      expect(notFinite).toBe(0);
      expect(people.length).toBeGreaterThan(0);
      for (const { box, score, actions } of people) {
        expect(box.every((value) => value >= 0 && value <= 1)).toBe(true);
        expect(score).toBeGreaterThan(0);
        expect(actions.length).toBe(2);
        expect(actions.every(({ name }) => /^(stand|walk|carry\/hold \(an object\))$/.test(name))).toBe(true);
      }
      const { width, height } = await sharp(join(folder, 'frames', picture)).metadata();
      expect([width, height! > 720]).toEqual([960, true]);
      const sheet = await sharp(join(folder, 'frames', picture.replace('key_', 'sampling_'))).metadata();
      expect(sheet.width).toBeGreaterThan(1900);
    }

    const rows = readFileSync(join(folder, 'frames', 'detections.csv'), 'utf8')
      .trim()
      .split('\r\n');
    expect(rows.length).toBe(3 * QUERIES * 80);
    for (const row of [rows[0], rows.at(-1)]) {
      expect(row).toMatch(/^walkers,000[0-2](,[01]\.\d{5}){4},\d+,[01]\.\d{5}$/);
    }
    expect(existsSync(join(folder, 'frames', 'detections.mp4'))).toBe(false);
  });

  it('opens an image as a still, and draws nobody if no query reaches the threshold', async () => {
    const input = join(FRAMES, 'vtest_val_000060.jpg');
    const run = await stmixerHere(args(input, 'still', '--threshold 1'));
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    const file = results('still');
    expect(file).toMatchObject({ kind: 'picture', numFrames: 1 });
    expect(file.keyFrames).toMatchObject([{ second: 0, people: [] }]);
    expect(readdirSync(join(folder, 'still')).sort()).toEqual([
      'detections.csv',
      'detections.json',
      'key_000001.png',
    ]);
  });

  it.skipIf(!hasFfmpeg)(
    'extracts the frames of a video and writes one with the results (needs ffmpeg)',
    async () => {
      const video = join(folder, 'walkers.mp4');
      const pictures = join(FRAMES, 'vtest_val_%06d.jpg');
      const encoding = ['-frames:v', '25', '-c:v', 'mjpeg', '-f', 'avi'];
      execFileSync('ffmpeg', ['-loglevel', 'error', '-framerate', '10', '-i', pictures, ...encoding, video]);
      const run = await stmixerHere(args(video, 'video', '--threshold 0 --step 0.5', 'AVA.FPS 5'));
      expect(run.stderr).toBe('');
      expect(run.code).toBe(0);
      const file = results('video');
      expect(file).toMatchObject({ kind: 'video', fps: 5 });
      expect(Math.abs(file.numFrames - 12.5)).toBeLessThan(1);
      expect(file.keyFrames.map(({ second }) => second)).toEqual([0, 0.5, 1, 1.5, 2]);
      const made = decoded(join(folder, 'video', 'detections.mp4'));
      // All frames of the input, of which the model saw every second one.
      expect(made).toEqual({ width: 960, height: 720, frames: 25 });
      expect(run.stdout).not.toContain('warning');
    },
  );

  it.skipIf(!hasFfmpeg)('reports that a file is not a video (needs ffmpeg)', async () => {
    const video = join(folder, 'broken.mp4');
    writeFileSync(video, 'this is no video');
    const run = await stmixerHere(args(video, 'broken'));
    expect(run.code).toBe(3);
    expect(run.stderr).toMatch(
      /^stmixer: --input: .*broken\.mp4: this is not a video that ffmpeg can read: /,
    );
    expect(run.stderr.trim().split('\n').length).toBe(1);
  });

  it('explains what to install for videos, and skips the video of the results', async () => {
    const video = join(folder, 'some.mp4');
    writeFileSync(video, '');
    const env = { PATH: folder };
    const input = someFrames('two', 2);
    const [run, other] = await Promise.all([
      stmixer(args(video, 'none'), env),
      stmixer(args(input, 'two-found'), env),
    ]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/ffmpeg.*is not on the PATH/);
    expect(other.code).toBe(0);
    expect(other.stdout).toMatch(/warning: no detections\.mp4: ffmpeg is not on the PATH/);
    expect(results('two-found').keyFrames.length).toBe(1);
  });

  it.each([
    [
      'an input that is not there',
      'no/such',
      '',
      '',
      3,
      /--input: no\/such: there is no such file or folder/,
    ],
    [
      'weights that are not there',
      FRAMES,
      '',
      'MODEL.WEIGHT no.pth',
      4,
      /MODEL\.WEIGHT: no\.pth: no such file/,
    ],
    ['no weights', FRAMES, '', 'MODEL.WEIGHT "" OUTPUT_DIR no/output', 4, /MODEL\.WEIGHT is empty/],
    [
      'weights of another depth',
      FRAMES,
      '',
      'ViT.DEPTH 3',
      4,
      /blocks\.N\.norm1\.weight: 2 of 3 \(without N = 2\)\n(.*\n)+.*\(ViT\.DEPTH 2\)\.\n$/,
    ],
    ['a threshold above 1', FRAMES, '--threshold 1.5', '', 2, /expected a number from 0 to 1/],
  ])('ends with a readable error for %s', async (_, input, flags, overrides, code, message) => {
    const words = args(input, 'wrong', flags, overrides).map((word) => (word === '""' ? '' : word));
    const run = await stmixerHere(words);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toContain('unexpected');
    expect(run.code).toBe(code);
  });

  it('ends with a readable error if a file is in the place of the folder', async () => {
    const run = await stmixerHere(args(FRAMES, 'tiny.pth/results'));
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(
      /--out: .*results: cannot be used for output: .*tiny\.pth is a file, not a folder/,
    );
  });

  it('refuses to write its results among the frames of the input, or over it', async () => {
    const input = someFrames('own', 2);
    const [frame] = readdirSync(input);
    const picture = join(input, 'key_000001.png');
    copyFileSync(join(input, frame), picture);
    for (const what of [input, picture]) {
      const run = await stmixerHere(args(what, 'own'));
      expect(run.stderr).toMatch(/^stmixer: --out: .*own: results there would be mixed with the input/);
      expect(run.code).toBe(2);
    }
    expect(readdirSync(input)).toHaveLength(3);
  });

  it('removes the results of an earlier detection from the folder, and nothing else', async () => {
    const input = someFrames('one', 1);
    const out = join(folder, 'used');
    mkdirSync(out);
    const old = ['key_000301.png', 'sampling_000301.png', 'detections.mp4', 'detections.json'];
    for (const name of [...old, 'key_notes.png', 'my.csv']) writeFileSync(join(out, name), 'old');
    const failed = await stmixerHere(args(input, 'used', '', 'MODEL.WEIGHT no.pth'));
    expect(failed.code).toBe(4);
    expect(readdirSync(out)).toHaveLength(6);
    const run = await stmixerHere(args(input, 'used', '--threshold 1'));
    expect(run.code).toBe(0);
    expect(readdirSync(out).sort()).toEqual([
      'detections.csv',
      'detections.json',
      'key_000001.png',
      'key_notes.png',
      'my.csv',
    ]);
    expect(results('used').complete).toBe(true);
  });

  it('counts the seconds of a video of the data set as its annotations do, so that evaluation finds them', async () => {
    const run = await stmixerHere([
      ...['detect', '--config-file', 'config_files/sample.yaml', '--input', 'sample/frames/vtest_train'],
      ...['--out', join(folder, 'train'), '--step', '8', '--no-video', '--engine', TEST_ENGINE],
      ...['MODEL.WEIGHT', 'checkpoints/sample.pth'],
    ]);
    expect(run.stdout).toMatch(
      /detections\.csv: the beginning of vtest_train is second 900, like in the annotations/,
    );
    const { firstSecond, keyFrames } = results('train');
    expect([firstSecond, ...keyFrames.map(({ second }) => second)]).toEqual([900, 0, 8, 16, 24, 32]);
    const evaluated = await stmixerHere([
      ...['evaluate', '--ground-truth', 'sample/annotations/train.csv', '--json'],
      ...['--label-map', 'sample/annotations/label_map.pbtxt'],
      ...['--predictions', join(folder, 'train', 'detections.csv')],
    ]);
    // Three of the thirty annotated key frames are among the five.
    expect(JSON.parse(evaluated.stdout).mAP).toBeGreaterThan(0.05);
  });

  it('keeps the finished results at Ctrl-C', async () => {
    const { child, finished } = start(
      args(FRAMES, 'stopped', '--step 0.1 --threshold 0 --no-video', 'TEST.VIDEOS_PER_BATCH 1'),
    );
    while (!existsSync(join(folder, 'stopped', 'key_000002.png'))) await delay(20);
    child.kill('SIGINT');
    const run = await finished;
    expect(run.code).toBe(130);
    expect(run.stdout).toMatch(/SIGINT: finishing the current key frame/);
    expect(run.stdout).toMatch(/stopped: \d+ people at \d+ key frames/);
    const { keyFrames, complete } = results('stopped');
    expect(complete).toBe(false);
    expect(keyFrames.length).toBeGreaterThan(1);
    expect(keyFrames.length).toBeLessThan(130);
    for (const { picture } of keyFrames) expect(existsSync(join(folder, 'stopped', picture))).toBe(true);
  });
});

describe('stmixer data show', { timeout: 180_000 }, () => {
  const show = (...words: string[]) => stmixerHere(['data', 'show', '--config-file', CONFIG, ...words]);

  it('draws clips of either split, evenly spaced or by name', async () => {
    const out = join(folder, 'shown');
    const run = await show('--out', out, '--clips', '2');
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['vtest_train_0909.png', 'vtest_train_0924.png']);
    const { width, height } = await sharp(join(out, 'vtest_train_0909.png')).metadata();
    expect(width).toBe(960);
    // The key frame, its caption, and a row of four frames.
    expect(height).toBeGreaterThan(900);
    const test = await show('--out', out, '--split', 'test', '--clips', 'vtest_val:0902,vtest_val:911');
    expect(test.code).toBe(0);
    expect(
      test.stdout
        .trim()
        .split('\n')
        .map((path) => path.slice(out.length + 1)),
    ).toEqual(['vtest_val_0902.png', 'vtest_val_0911.png']);
  });

  it('draws clips as training gets them', async () => {
    const out = join(folder, 'augmented');
    const run = await show('--out', out, '--clips', 'vtest_train:902', '--augmented');
    expect(run.stderr).toBe('');
    const { width } = await sharp(join(out, 'vtest_train_0902.png')).metadata();
    // 43×32 pixels, six times enlarged.
    expect(width).toBe(6 * 43);
  });

  it.each([
    ['vtest_val:902', 3, /there is no video vtest_val in the train lists; they have vtest_train/],
    ['vtest_train:800', 3, /video vtest_train has no key frame at second 800 \(it has 902 to 931\)/],
    ['0', 2, /expected a number from 1, or video:second/],
  ])('ends with a readable error for --clips %s', async (clips, code, message) => {
    const run = await show('--out', join(folder, 'no'), '--clips', clips);
    expect(run.stderr).toMatch(message);
    expect(run.code).toBe(code);
  });
});
