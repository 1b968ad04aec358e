/** @file Tests of the loader: order, seeds, resuming, errors, closing. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type AvaFolder, makeAvaFolder } from '../../../test/support/ava_folder.js';
import { builtProgram } from '../../../test/support/built.js';
import { DataError } from '../../errors.js';
import type { ClipInfo } from '../clip/clip.js';
import { AvaDataset } from '../datasets/ava_dataset.js';
import type { Batch } from './collate.js';
import { BatchLoader, createTestLoader, createTrainLoader } from './loader.js';
import { SequentialSampler } from './sampler.js';
import { WorkerPool } from './worker_pool.js';

const make = () =>
  makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 }, b: { frames: 8, width: 24, height: 30 } },
    annotations: ['a', 'b'].flatMap((video) =>
      [902, 903, 904, 905, 906]
        .slice(video === 'a' ? 0 : 1)
        .map((second) => `${video},${second},0.1,0.2,0.5,0.8,7,0`),
    ),
  });

/** What of a batch must be the same in two runs; of the video a digest, since the loader reuses its memory. */
const copy = (batch: Batch) => ({ ...batch, video: createHash('sha256').update(batch.video).digest('hex') });

async function take(loader: BatchLoader, count = Number.POSITIVE_INFINITY) {
  const batches: ReturnType<typeof copy>[] = [];
  while (batches.length < count) {
    const { done, value } = await loader.next();
    if (done) break;
    batches.push(copy(value));
  }
  loader.close();
  return batches;
}

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(async () => {
  await setTimeout(50);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

describe('createTrainLoader', () => {
  it('yields MAX_EPOCH · ITER_PER_EPOCH full batches of the stated shapes', async () => {
    const ava = await make();
    const clipIds: number[] = [];
    const loader = createTrainLoader(ava.config({ 'SOLVER.ITER_PER_EPOCH': 3 }), { seed: 1 });
    for await (const { video, shape, whwh, boxes, labels, clips } of loader) {
      expect([shape[0], shape[1], shape[4]]).toEqual([2, 4, 3]);
      expect([shape[2] % 32, shape[3] % 32]).toEqual([0, 0]);
      expect(video.length).toBe(shape.reduce((a, b) => a * b));
      expect(video.every(Number.isFinite)).toBe(true);
      expect([whwh.length, boxes.length, labels.length, clips.length]).toEqual([8, 2, 2, 2]);
      expect([boxes[0].length, labels[0].length]).toEqual([4, 80]);
      clipIds.push(...clips.map((clip) => clip.clipId));
    }
    expect(clipIds).toHaveLength(12);
    // 9 clips make 4 batches per data pass, one clip is left out.
    expect(new Set(clipIds.slice(0, 8)).size).toBe(8);
  });

  it('depends on the seed, not on the number of workers', async () => {
    const ava = await make();
    const colours = { 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true, 'AVA.TRAIN_PCA_JITTER_ONLY': false };
    const run = (workers: number, seed: number) =>
      take(createTrainLoader(ava.config({ 'DATALOADER.NUM_WORKERS': workers, ...colours }), { seed }), 6);
    const one = await run(0, 1);
    for (const workers of [1, 2, 4]) expect(await run(workers, 1)).toEqual(one);
    expect(await run(0, 2)).not.toEqual(one);
  });

  it('continues at any iteration exactly like an uninterrupted loader', async () => {
    const ava = await make();
    const whole = await take(createTrainLoader(ava.config(), { seed: 9 }), 9);
    const resumed = await take(createTrainLoader(ava.config(), { seed: 9, startIteration: 5 }), 4);
    expect(resumed).toEqual(whole.slice(5));
    expect(await take(createTrainLoader(ava.config(), { seed: 9, startIteration: 20 }))).toEqual([]);
  });

  it('makes batches of all clips that one iteration accumulates, also in the middle of a run', async () => {
    const ava = await make();
    const whole = await take(createTrainLoader(ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 4 }), { seed: 9 }), 5);
    const accumulated = ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 2, 'SOLVER.ACCUMULATE': 2 });
    const parts = await take(createTrainLoader(accumulated, { seed: 9, startIteration: 2 }), 3);
    expect(parts.map(({ shape }) => shape[0])).toEqual([4, 4, 4]);
    expect(parts).toEqual(whole.slice(2));
  });

  it('augments a clip differently in every data pass', async () => {
    const ava = await make();
    const batches = await take(
      createTrainLoader(ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 9 }), { seed: 3 }),
      8,
    );
    const sizes = new Set(
      batches.flatMap((b) => b.clips.map((clip, i) => `${clip.clipId} ${b.whwh[i * 4]}`)),
    );
    expect(sizes.size).toBeGreaterThan(9);
  });

  it('names a broken frame when its batch is requested, and ends', async () => {
    const ava = await make();
    const order = await take(createTrainLoader(ava.config(), { seed: 4 }), 4);
    const loader = createTrainLoader(ava.config(), { seed: 4 });
    for (let frame = 0; frame < 8; frame++) writeFileSync(ava.framePath('b', frame), 'broken');
    const broken = order.findIndex((batch) => batch.clips.some((clip) => clip.videoName === 'b'));
    for (let i = 0; i < broken; i++) expect((await loader.next()).done).toBe(false);
    await expect(loader.next()).rejects.toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: expect.stringMatching(/b_00000\d\.jpg: video b, second 90\d: /),
      }),
    );
    expect(await loader.next()).toEqual({ done: true, value: undefined });
  });

  it('does not report errors in batches that are never requested', async () => {
    const ava = await make();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const loader = createTrainLoader(ava.config(), { seed: 4 });
    for (const video of ['a', 'b']) {
      for (let frame = 0; frame < 8; frame++) writeFileSync(ava.framePath(video, frame), 'broken');
    }
    await expect(loader.next()).rejects.toThrow(DataError);
    loader.close();
    // Node reports unhandled rejections after the microtasks. The batches behind the first fail meanwhile, too.
    await setTimeout(200);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('ends on close, also while a batch is awaited, and when a loop is left', async () => {
    const ava = await make();
    for (const workers of [0, 1]) {
      const loader = createTrainLoader(ava.config({ 'DATALOADER.NUM_WORKERS': workers }), { seed: 4 });
      const pending = [loader.next(), loader.next()];
      loader.close();
      expect(await Promise.all(pending)).toEqual(Array(2).fill({ done: true, value: undefined }));
      expect((await loader.next()).done).toBe(true);
    }

    const looped = createTrainLoader(ava.config(), { seed: 4 });
    for await (const batch of looped) {
      expect(batch.clips).toHaveLength(2);
      break;
    }
    expect((await looped.next()).done).toBe(true);
  });

  it.each([
    [0, 1],
    [2, 2],
  ])(
    'writes all batches of one size into fixed buffers (%i threads, %i buffers)',
    async (workers, places) => {
      const ava = await make();
      const loader = createTrainLoader(
        ava.config({ 'DATALOADER.NUM_WORKERS': workers, 'DATA.TRAIN_MIN_SCALES': [24] }),
        { seed: 4 },
      );
      const buffers = new Set<ArrayBufferLike>();
      for (let i = 0; i < 8; i++) {
        const { video } = (await loader.next()).value!;
        buffers.add(video.buffer);
        // What was given out stays as it is until the next one is asked for, however long that takes.
        const before = video.slice();
        await setTimeout(20);
        expect(video).toEqual(before);
      }
      await loader.close();
      expect(buffers.size).toBeLessThanOrEqual(places * 2);
    },
  );

  it('refuses data smaller than a batch', async () => {
    const ava = await make();
    expect(() => createTrainLoader(ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 10 }), { seed: 0 })).toThrow(
      /has 9 key frames, fewer than one batch of 10/,
    );
  });
});

/** Breaks the frames of a video, so that none of its clips can be loaded. */
function breakVideo(ava: AvaFolder, video: string) {
  for (let frame = 0; frame < 8; frame++) writeFileSync(ava.framePath(video, frame), 'broken');
}

describe('DATALOADER.ON_ERROR skip', () => {
  it.each([0, 2])('replaces broken clips, always with the same ones (%i workers)', async (workers) => {
    const ava = await make();
    const warnings: string[] = [];
    const config = ava.config({ 'DATALOADER.ON_ERROR': 'skip', 'DATALOADER.NUM_WORKERS': workers });
    const open = (startIteration = 0) =>
      createTrainLoader(config, { seed: 4, startIteration, warn: (message) => warnings.push(message) });
    const whole = await take(open(), 12);
    breakVideo(ava, 'b');
    const batches = await take(open(), 12);
    expect(batches.every(({ shape, clips }) => shape[0] === 2 && clips.length === 2)).toBe(true);
    expect(batches.flatMap(({ clips }) => clips).every(({ videoName }) => videoName === 'a')).toBe(true);
    // Places of clips that can be loaded are as they were.
    for (const [n, { clips }] of whole.entries()) {
      for (const [i, clip] of clips.entries()) {
        if (clip.videoName === 'a') expect(batches[n].clips[i]).toEqual(clip);
      }
    }
    // The four clips of b, each once.
    expect(warnings).toHaveLength(4);
    expect(new Set(warnings.map((message) => message.slice(0, 19))).size).toBe(4);
    expect(warnings[0]).toMatch(
      /^video b, second 90\d: another clip takes its place: \S*b_00000\d\.jpg: .*it is not a JPEG/,
    );
    expect(await take(open(5), 7)).toEqual(batches.slice(5));
  });

  it('fails if too many replacements cannot be loaded', async () => {
    const ava = await make();
    const loader = createTrainLoader(ava.config({ 'DATALOADER.ON_ERROR': 'skip' }), { seed: 4, warn() {} });
    breakVideo(ava, 'a');
    breakVideo(ava, 'b');
    await expect(loader.next()).rejects.toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: expect.stringMatching(/^a clip and 10 replacements could not be loaded/),
      }),
    );
    expect((await loader.next()).done).toBe(true);
  });

  it('leaves broken clips, and batches without other clips, out of the evaluation', async () => {
    const ava = await make();
    const warnings: string[] = [];
    const loader = createTestLoader(
      ava.config({ 'DATALOADER.ON_ERROR': 'skip', 'TEST.VIDEOS_PER_BATCH': 3 }),
      {
        warn: (message) => warnings.push(message),
      },
    );
    breakVideo(ava, 'b');
    const batches = await take(loader);
    expect(batches.map(({ clips }) => clips.map((clip) => clip.clipId))).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    expect(batches.map(({ shape }) => shape[0])).toEqual([3, 2]);
    expect(loader.skipped.map((clip) => clip.clipId)).toEqual([5, 6, 7, 8]);
    expect(warnings[0]).toMatch(/^video b, second 903: it is left out: /);
  });

  it('skips clips that kill a worker', async () => {
    const ava = await makeAvaFolder({
      videos: {
        a: { frames: 4, width: 40, height: 24 },
        exits: { frames: 4, width: 40, height: 24 },
      },
      annotations: ['a', 'exits'].map((video) => `${video},902,0.1,0.2,0.5,0.8,7,0`),
    });
    const dataset = AvaDataset.open(ava.config(), 'train');
    const program = pathToFileURL(builtProgram('faulty_clip_worker'));
    const run = (onError: 'stop' | 'skip') => {
      const options = { seed: 0, start: 0, numWorkers: 2, sizeDivisibility: 32, onError, warn() {} };
      const sampler = new SequentialSampler(new Uint8Array(2), 2);
      return new BatchLoader(dataset, sampler, options, new WorkerPool(2, dataset.transforms, program));
    };
    const skipping = run('skip');
    expect((await take(skipping)).map(({ clips }) => clips.map((clip) => clip.videoName))).toEqual([['a']]);
    expect(skipping.skipped.map((clip) => clip.videoName)).toEqual(['exits']);
    await expect(run('stop').next()).rejects.toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: expect.stringMatching(/ended while loading video exits, second 902: exit code 7$/),
      }),
    );
  });
});

describe('DATALOADER.ASPECT_RATIO_GROUPING', () => {
  it('never mixes wide and high clips in training or evaluation', async () => {
    const ava = await make();
    const config = ava.config({ 'DATALOADER.ASPECT_RATIO_GROUPING': true, 'TEST.VIDEOS_PER_BATCH': 2 });
    const videos = (batches: { clips: readonly ClipInfo[] }[]) =>
      batches.map(({ clips }) => clips.map((clip) => clip.videoName).join(''));
    const training = videos(await take(createTrainLoader(config, { seed: 2 }), 8));
    // a has 5 clips and b 4: 2 batches of each in a pass.
    for (const pass of [training.slice(0, 4), training.slice(4)]) {
      expect(pass.toSorted()).toEqual(['aa', 'aa', 'bb', 'bb']);
    }
    const resumed = await take(createTrainLoader(config, { seed: 2, startIteration: 3 }), 5);
    expect(videos(resumed)).toEqual(training.slice(3));
    expect(videos(await take(createTestLoader(config)))).toEqual(['aa', 'aa', 'a', 'bb', 'bb']);
  });

  it('names a frame of unknown size', async () => {
    const ava = await make();
    writeFileSync(ava.framePath('b', 3), 'broken');
    const config = ava.config({ 'DATALOADER.ASPECT_RATIO_GROUPING': true });
    expect(() => createTrainLoader(config, { seed: 2 })).toThrow(
      expect.objectContaining({ name: 'DataError', message: expect.stringMatching(/b_000003\.jpg: /) }),
    );
  });
});

describe('createTestLoader', () => {
  it('visits every key frame once, in order, the last batch smaller', async () => {
    const ava = await make();
    const loader = createTestLoader(ava.config({ 'TEST.VIDEOS_PER_BATCH': 4 }));
    expect(loader.numBatches).toBe(3);
    const batches = await take(loader);
    expect(batches.map((batch) => batch.clips.map((clip) => clip.clipId))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8],
    ]);
    expect(batches[0].clips[1]).toEqual({ clipId: 1, videoIndex: 0, videoName: 'a', second: 903 });
  });
});

describe('a process with a loader', () => {
  const run = promisify(execFile);
  const start = async (way: string) => {
    const { folder } = await make();
    return run(process.execPath, [builtProgram('loader_process'), folder, way], { timeout: 50_000 });
  };

  it.each(['unused', 'left open'])('ends by itself if the loader is %s', async (way) => {
    expect(await start(way)).toEqual({ stdout: '', stderr: '' });
  });

  it('stays alive while a batch is awaited and while workers are ending', async () => {
    expect((await start('awaits')).stdout).toBe('awaited\n');
    expect((await start('closes')).stdout).toBe('closed true\n');
  });

  it('can exit while workers are busy', async () => {
    await expect(start('exits')).rejects.toMatchObject({ code: 5, signal: null, stderr: '' });
  });
});
