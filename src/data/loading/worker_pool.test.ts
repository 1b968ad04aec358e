/** @file Tests of worker threads: the same clips as in one thread, threads that die, closing at any time. */
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeAvaFolder } from '../../../test/support/ava_folder.js';
import { builtProgram } from '../../../test/support/built.js';
import { Rng } from '../../util/random.js';
import { drawAugmentation } from '../clip/transforms.js';
import { AvaDataset } from '../datasets/ava_dataset.js';
import { type ClipLoader, LocalClipLoader } from './clip_loader.js';
import { WorkerPool } from './worker_pool.js';

const FAULTY = pathToFileURL(builtProgram('faulty_clip_worker'));

/** One clip of each of these videos, in this order. */
async function open(...videos: string[]) {
  const ava = await makeAvaFolder({
    videos: Object.fromEntries(videos.map((video) => [video, { frames: 4, width: 40, height: 24 }])),
    annotations: videos.map((video) => `${video},902,0.1,0.2,0.5,0.8,7,0`),
  });
  return AvaDataset.open(ava.config(), 'train');
}

function threads(dataset: AvaDataset, count: number, program?: URL): WorkerPool {
  const reader = new WorkerPool(count, dataset.transforms, program);
  onTestFinished(() => reader.close());
  reader.setAwaited(true);
  return reader;
}

const load = (reader: ClipLoader, dataset: AvaDataset, index: number) =>
  reader.load({
    source: dataset.source(index),
    augmentation: drawAugmentation(dataset.transforms, new Rng(index)),
  });

/** Pixels of a clip, padded to 32×64, behind one number that must stay as it is. */
async function pixels(reader: ClipLoader, dataset: AvaDataset, index: number) {
  const video = reader.allocate(1 + 4 * 32 * 64 * 3).fill(9);
  const clip = await load(reader, dataset, index);
  await clip.write(video, { offset: 1, height: 32, width: 64 });
  expect(video[0]).toBe(9);
  return Array.from(video);
}

const ended = (video: string, why: string) =>
  expect.objectContaining({
    name: 'DataError',
    message: expect.stringMatching(
      new RegExp(`^a worker .* ended while loading video ${video}, second 902: .*${why}`),
    ),
  });

describe('WorkerPool', () => {
  it.each([
    ['EMFILE: too many open files', /ulimit -n 4096$/],
    ['Worker initialization failure: EAGAIN', /Set DATALOADER\.NUM_WORKERS to a smaller number$/],
  ])('reports what helps if the system refuses a resource: %s', async (why, remedy) => {
    const dataset = await open('a');
    const program = new URL(`data:text/javascript,throw new Error(${JSON.stringify(why)})`);
    await expect(load(threads(dataset, 1, program), dataset, 0)).rejects.toThrow(remedy);
  });

  it('loads the same clips as a single thread', async () => {
    const dataset = await open('a', 'b', 'c');
    const reader = threads(dataset, 2);
    const local = new LocalClipLoader(dataset.transforms);
    const all = [0, 1, 2].map(async (index) => {
      expect(await pixels(reader, dataset, index)).toEqual(await pixels(local, dataset, index));
      const { metadata } = await load(reader, dataset, index);
      expect((await load(local, dataset, index)).metadata).toMatchObject(metadata);
    });
    await Promise.all(all);
  });

  it('names the clip at which a worker died, and loads all other clips', async () => {
    const dataset = await open('a', 'exits', 'b', 'throws', 'c');
    const reader = threads(dataset, 1, FAULTY);
    const expected = await pixels(new LocalClipLoader(dataset.transforms), dataset, 0);
    // The pixels of this one are lost with the thread and have to be loaded again.
    const first = await load(reader, dataset, 0);
    const rest = [1, 2, 3, 4].map((index) => load(reader, dataset, index));
    await expect(rest[0]).rejects.toThrow(ended('exits', 'exit code 7'));
    expect((await rest[1]).metadata.info.videoName).toBe('b');
    await expect(rest[2]).rejects.toThrow(ended('throws', 'thrown beside the clip'));
    expect((await rest[3]).metadata.info.videoName).toBe('c');
    const video = reader.allocate(4 * 32 * 64 * 3);
    await first.write(video, { offset: 0, height: 32, width: 64 });
    expect(Array.from(video)).toEqual(expected.slice(1));
  });

  it('names the clip that uses up all memory', async () => {
    const dataset = await open('grows', 'a');
    const reader = threads(dataset, 1, FAULTY);
    const both = [0, 1].map((index) => load(reader, dataset, index));
    await expect(both[0]).rejects.toThrow(ended('grows', 'memory'));
    expect((await both[1]).metadata.info.videoName).toBe('a');
  });

  it('distinguishes program errors from broken data', async () => {
    const dataset = await open('bug');
    const reader = threads(dataset, 1, FAULTY);
    await expect(load(reader, dataset, 0)).rejects.toThrow(
      expect.objectContaining({ name: 'Error', message: expect.stringMatching(/^TypeError: a mistake of/) }),
    );
  });

  it('stops after several deaths, and if workers cannot start', async () => {
    const dataset = await open('a');
    const reader = threads(dataset, 2, new URL('file:///nowhere/program.ts'));
    const failed = expect.objectContaining({
      name: 'WorkersFailedError',
      exitCode: 3,
      message: expect.stringMatching(/ended while loading no clip: .*program\.ts.*10 times before/s),
    });
    await expect(load(reader, dataset, 0)).rejects.toThrow(failed);
    await expect(load(reader, dataset, 0)).rejects.toThrow(failed);
  });

  it('ends all workers on close, whatever they are doing', async () => {
    const dataset = await open('a', 'hangs', 'b');
    for (const pause of [0, 5, 50, 400]) {
      const reader = threads(dataset, 2, FAULTY);
      const done = pause === 400 ? await load(reader, dataset, 0) : null;
      const pending = [0, 1, 2, 1].map((index) => load(reader, dataset, index));
      const outcomes = Promise.allSettled(pending);
      await new Promise((resolve) => setTimeout(resolve, pause));
      await reader.close();
      for (const outcome of await outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason.message).toBe('the loader is closed');
      }
      await expect(load(reader, dataset, 0)).rejects.toThrow('the loader is closed');
      const written = done?.write(reader.allocate(1), { offset: 0, height: 1, width: 1 });
      if (written) await expect(written).rejects.toThrow('the loader is closed');
    }
  });
});
