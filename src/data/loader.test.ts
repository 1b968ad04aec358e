/** @file Tests of the loader: order, seeds, resuming, errors, closing. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeAvaFolder } from '../../test/ava_folder.js';
import type { Batch } from './collate.js';
import { type BatchLoader, createTestLoader, createTrainLoader } from './loader.js';

const make = () =>
  makeAvaFolder({
    videos: { a: { frames: 8, width: 40, height: 24 }, b: { frames: 8, width: 24, height: 30 } },
    annotations: ['a', 'b'].flatMap((video) =>
      [902, 903, 904, 905, 906]
        .slice(video === 'a' ? 0 : 1)
        .map((second) => `${video},${second},0.1,0.2,0.5,0.8,7,0`),
    ),
  });

/** What of a batch must be the same in two runs; the video is copied since the loader reuses its memory. */
const copy = (batch: Batch) => ({ ...batch, video: batch.video.slice() });

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
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

describe('createTrainLoader', () => {
  it('gives MAX_EPOCH · ITER_PER_EPOCH full batches with the shapes they state', async () => {
    const ava = await make();
    const batches = await take(createTrainLoader(ava.config({ 'SOLVER.ITER_PER_EPOCH': 3 }), { seed: 1 }));
    expect(batches).toHaveLength(6);
    for (const { video, shape, whwh, boxes, labels, clips } of batches) {
      expect([shape[0], shape[1], shape[4]]).toEqual([2, 4, 3]);
      expect([shape[2] % 32, shape[3] % 32]).toEqual([0, 0]);
      expect(video.length).toBe(shape.reduce((a, b) => a * b));
      expect(video.every(Number.isFinite)).toBe(true);
      expect([whwh.length, boxes.length, labels.length, clips.length]).toEqual([8, 2, 2, 2]);
      expect([boxes[0].length, labels[0].length]).toEqual([4, 80]);
    }
    // 9 clips make 4 batches per pass, one clip is left out.
    const firstPass = batches.slice(0, 4).flatMap((batch) => batch.clips.map((clip) => clip.clipId));
    expect(new Set(firstPass).size).toBe(8);
  });

  it('depends on the seed, not on how many clips are loaded at a time', async () => {
    const ava = await make();
    const colours = { 'AVA.TRAIN_USE_COLOR_AUGMENTATION': true, 'AVA.TRAIN_PCA_JITTER_ONLY': false };
    const run = (workers: number, seed: number) =>
      take(createTrainLoader(ava.config({ 'DATALOADER.NUM_WORKERS': workers, ...colours }), { seed }), 6);
    const one = await run(0, 1);
    expect(await run(5, 1)).toEqual(one);
    expect(await run(5, 2)).not.toEqual(one);
  });

  it('continues at an iteration exactly as if it had never stopped', async () => {
    const ava = await make();
    const whole = await take(createTrainLoader(ava.config(), { seed: 9 }), 9);
    const resumed = await take(createTrainLoader(ava.config(), { seed: 9, startIteration: 5 }), 4);
    expect(resumed).toEqual(whole.slice(5));
    expect(await take(createTrainLoader(ava.config(), { seed: 9, startIteration: 20 }))).toEqual([]);
  });

  it('draws a clip anew in every pass', async () => {
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

  it('reports a broken frame at its batch, by name, and ends', async () => {
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

  it('stays silent about errors in batches that nobody asks for', async () => {
    const ava = await make();
    const loader = createTrainLoader(ava.config(), { seed: 4 });
    for (const video of ['a', 'b']) {
      for (let frame = 0; frame < 8; frame++) writeFileSync(ava.framePath(video, frame), 'broken');
    }
    await loader.next().catch(() => {});
    loader.close();
  });

  it('ends when it is closed, also while a batch is awaited and when a loop is left', async () => {
    const ava = await make();
    const loader = createTrainLoader(ava.config({ 'DATALOADER.NUM_WORKERS': 1 }), { seed: 4 });
    const pending = [loader.next(), loader.next()];
    loader.close();
    expect(await Promise.all(pending)).toEqual(Array(2).fill({ done: true, value: undefined }));
    expect((await loader.next()).done).toBe(true);

    const looped = createTrainLoader(ava.config(), { seed: 4 });
    for await (const batch of looped) {
      expect(batch.clips).toHaveLength(2);
      break;
    }
    expect((await looped.next()).done).toBe(true);
  });

  it('writes every batch of one size into the same memory', async () => {
    const ava = await make();
    const loader = createTrainLoader(ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 9 }), { seed: 4 });
    const buffers = new Set<ArrayBufferLike>();
    let largest = 0;
    let grew = 0;
    for (let i = 0; i < 8; i++) {
      const { video } = (await loader.next()).value!;
      buffers.add(video.buffer);
      if (video.length > largest) grew++;
      largest = Math.max(largest, video.length);
    }
    loader.close();
    expect(buffers.size).toBe(grew);
  });

  it('refuses data smaller than a batch', async () => {
    const ava = await make();
    expect(() => createTrainLoader(ava.config({ 'SOLVER.VIDEOS_PER_BATCH': 10 }), { seed: 0 })).toThrow(
      /has 9 key frames, fewer than one batch of 10/,
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
