/** @file Batches in order, read ahead while the model computes. */
import { ConfigError } from '../errors.js';
import { Rng } from '../util/random.js';
import type { Clip } from './clip.js';
import { type Batch, collate } from './collate.js';
import type { DataConfig } from './data_config.js';
import { AvaDataset } from './dataset.js';
import { type BatchSampler, SequentialSampler, TrainSampler } from './sampler.js';

/** Batches that are loaded or being loaded beside the one that is asked for. */
const BATCHES_AHEAD = 2;

export interface LoaderOptions {
  readonly seed: number;
  /** The number of the first batch. */
  readonly start: number;
  /** How many clips are loaded at the same time, at least 1. */
  readonly concurrency: number;
  readonly sizeDivisibility: number;
}

/**
 * The batches of a sampler, one after the other. A clip's random choices depend on the seed and its place in the order
 * alone, so neither timing nor the batch that a run was resumed at changes them.
 */
export class BatchLoader implements AsyncIterableIterator<Batch> {
  readonly #queue: Promise<Clip[]>[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #nextBatch: number;
  #closed = false;
  #video: Float32Array | undefined;

  constructor(
    readonly dataset: AvaDataset,
    readonly sampler: BatchSampler & { readonly batchSize: number },
    private readonly options: LoaderOptions,
  ) {
    this.#nextBatch = options.start;
  }

  /** The number of batches of the whole run, those before `start` included. */
  get numBatches(): number {
    return this.sampler.numBatches;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next batch; its `video` is overwritten by the following call. Throws DataError where a frame of this batch
   * cannot be read, and is done after that, as it is after `close`.
   */
  async next(): Promise<IteratorResult<Batch, undefined>> {
    this.#fill();
    const head = this.#queue.shift();
    if (!head) return { done: true, value: undefined };
    let clips: Clip[];
    try {
      clips = await head;
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      this.close();
      throw error;
    }
    if (this.#closed) return { done: true, value: undefined };
    this.#fill();
    const batch = collate(clips, this.options.sizeDivisibility, this.#video);
    if (batch.video.length > (this.#video?.length ?? 0)) this.#video = batch.video;
    return { done: false, value: batch };
  }

  async return(): Promise<IteratorResult<Batch, undefined>> {
    this.close();
    return { done: true, value: undefined };
  }

  /** Stops reading ahead and lets go of what was read; clips being decoded right now are finished and dropped. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#video = undefined;
  }

  #fill(): void {
    while (!this.#closed && this.#queue.length <= BATCHES_AHEAD && this.#nextBatch < this.numBatches) {
      const number = this.#nextBatch++;
      const place = number * this.sampler.batchSize;
      const clips = this.sampler.batch(number).map((index, i) => this.#load(index, place + i));
      const batch = Promise.all(clips);
      // The error is for whoever asks for this batch, which may be much later or never.
      batch.catch(() => {});
      this.#queue.push(batch);
    }
  }

  async #load(index: number, place: number): Promise<Clip> {
    if (this.#running >= this.options.concurrency) {
      await new Promise<void>((wake) => this.#waiting.push(wake));
    } else {
      this.#running++;
    }
    // A place that becomes free goes to the next in line without being given back in between.
    try {
      if (this.#closed) throw new Error('the loader is closed');
      return await this.dataset.load(index, Rng.forName(this.options.seed, `clip at place ${place}`));
    } finally {
      const wake = this.#waiting.shift();
      if (wake) wake();
      else this.#running--;
    }
  }
}

/**
 * The training batches: MAX_EPOCH · ITER_PER_EPOCH of VIDEOS_PER_BATCH clips, from number `startIteration` (0 for a new
 * run). Opens and checks the data first: DataError, ConfigError.
 */
export function createTrainLoader(
  cfg: DataConfig,
  { seed, startIteration = 0 }: { seed: number; startIteration?: number },
): BatchLoader {
  if (cfg.DATALOADER.ASPECT_RATIO_GROUPING) {
    throw new ConfigError(
      'DATALOADER.ASPECT_RATIO_GROUPING: expected False, found True; grouping by aspect ratio is not supported, and ' +
        'clips of different shapes are padded to one size instead',
    );
  }
  const dataset = AvaDataset.open(cfg, 'train');
  const { VIDEOS_PER_BATCH, MAX_EPOCH, ITER_PER_EPOCH } = cfg.SOLVER;
  const sampler = new TrainSampler(dataset.length, VIDEOS_PER_BATCH, MAX_EPOCH * ITER_PER_EPOCH, seed);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, seed, startIteration));
}

/** The evaluation batches: every key frame of the test lists once, in order. */
export function createTestLoader(cfg: DataConfig, { seed = 0 }: { seed?: number } = {}): BatchLoader {
  const dataset = AvaDataset.open(cfg, 'test');
  const sampler = new SequentialSampler(dataset.length, cfg.TEST.VIDEOS_PER_BATCH);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, seed, 0));
}

function loaderOptions(cfg: DataConfig, seed: number, start: number): LoaderOptions {
  return {
    seed,
    start,
    concurrency: Math.max(1, cfg.DATALOADER.NUM_WORKERS),
    sizeDivisibility: cfg.DATALOADER.SIZE_DIVISIBILITY,
  };
}
