/** @file Batches in order, read ahead while the model computes. */
import { DataError } from '../../errors.js';
import { Rng } from '../../util/random.js';
import type { ClipInfo } from '../clip/clip.js';
import { groupByShape } from '../clip/image_size.js';
import { drawAugmentation } from '../clip/transforms.js';
import { clipsPerStep, type DataConfig } from '../data_config.js';
import { AvaDataset } from '../datasets/ava_dataset.js';
import { type ClipReader, type LoadedClip, LocalReader } from './clip_loader.js';
import { type Batch, batchShape, makeBatch } from './collate.js';
import { type BatchSampler, SequentialSampler, TrainSampler } from './sampler.js';
import { ClipThreads, ThreadsFailedError } from './worker_pool.js';

/** Batches that are loaded or being loaded beside the one that is asked for, at least. */
const BATCHES_AHEAD = 2;
/** Clips that a thread has before it, so that it need not wait for the main thread. */
const CLIPS_PER_THREAD = 2;
/** How many others are tried in place of a clip that cannot be loaded. */
const REPLACEMENTS = 10;

/** How many batches a loader has memory for, and how many are being read ahead. */
export function loaderBuffers(numWorkers: number, batchSize: number): { slots: number; ahead: number } {
  const clipsAhead = CLIPS_PER_THREAD * numWorkers;
  return {
    // Threads fill a second slot while the first is in use; the thread that asks gains nothing by it.
    slots: numWorkers > 0 ? 2 : 1,
    ahead: Math.max(BATCHES_AHEAD, Math.ceil(clipsAhead / batchSize)),
  };
}

export interface LoaderOptions {
  readonly seed: number;
  /** The number of the first batch. */
  readonly start: number;
  /** Threads that load clips; 0: the one that asks does it. */
  readonly numWorkers: number;
  readonly sizeDivisibility: number;
  /** What becomes of a clip that cannot be loaded. */
  readonly onError: 'stop' | 'skip';
  /** Told about every clip that is skipped, once. */
  readonly warn: (message: string) => void;
}

/** Memory for the video of one batch; batches take turns. */
interface Slot {
  memory: Float32Array | null;
  /** When the batch that has it is not needed any more. */
  free: Promise<void>;
}

/** A batch that is being made. `content` is null where none of its clips could be loaded. */
interface Pending {
  readonly content: Promise<Batch | null>;
  readonly release: () => void;
}

/**
 * The batches of a sampler, one after the other. A clip's random choices depend on the seed and its place in the order
 * alone, so neither timing, nor the number of threads, nor the batch that a run was resumed at changes them.
 */
export class BatchLoader<S extends BatchSampler = BatchSampler> implements AsyncIterableIterator<Batch> {
  readonly #queue: Pending[] = [];
  readonly #slots: readonly Slot[];
  readonly #ahead: number;
  readonly #skipped = new Map<number, ClipInfo>();
  #releaseLast: () => void = () => {};
  #nextBatch: number;
  #closed = false;

  constructor(
    readonly dataset: AvaDataset,
    readonly sampler: S,
    private readonly options: LoaderOptions,
    private readonly reader: ClipReader = options.numWorkers > 0
      ? new ClipThreads(options.numWorkers, dataset.transforms)
      : new LocalReader(dataset.transforms),
  ) {
    this.#nextBatch = options.start;
    const { slots, ahead } = loaderBuffers(options.numWorkers, sampler.batchSize);
    this.#slots = Array.from({ length: slots }, () => ({ memory: null, free: Promise.resolve() }));
    this.#ahead = ahead;
  }

  /** The number of batches of the whole run, those before `start` included. */
  get numBatches(): number {
    return this.sampler.numBatches;
  }

  /** The clips that could not be loaded so far, by index, where errors do not stop. */
  get skipped(): readonly ClipInfo[] {
    return [...this.#skipped.values()].sort((a, b) => a.clipId - b.clipId);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next batch; its `video` is overwritten by the following call. Throws DataError where a clip of this batch
   * cannot be loaded and errors stop, and is done after that, as it is after `close`. Where errors are skipped, a
   * sampler that knows a replacement keeps its batches full; the batches of one that does not lack the clip.
   */
  async next(): Promise<IteratorResult<Batch, undefined>> {
    this.#releaseLast();
    this.reader.setAwaited(true);
    try {
      for (;;) {
        this.#fill();
        const pending = this.#queue.shift();
        if (!pending) {
          await this.close();
          return { done: true, value: undefined };
        }
        this.#releaseLast = pending.release;
        const batch = await pending.content;
        if (this.#closed) return { done: true, value: undefined };
        if (!batch) {
          pending.release();
          continue;
        }
        this.#fill();
        return { done: false, value: batch };
      }
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      await this.close();
      throw error;
    } finally {
      this.reader.setAwaited(false);
    }
  }

  async return(): Promise<IteratorResult<Batch, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Stops reading ahead and lets go of what was read; the threads have ended when it resolves. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#releaseLast();
    for (const { release } of this.#queue.splice(0)) release();
    for (const slot of this.#slots) slot.memory = null;
    await this.reader.close();
  }

  #fill(): void {
    while (!this.#closed && this.#queue.length <= this.#ahead && this.#nextBatch < this.numBatches) {
      const number = this.#nextBatch++;
      const slot = this.#slots[number % this.#slots.length];
      const free = slot.free;
      let release = () => {};
      slot.free = new Promise((resolve) => {
        release = resolve;
      });
      const content = this.#make(number, slot, free);
      // The error is for whoever asks for this batch, which may be much later or never.
      content.catch(() => {});
      this.#queue.push({ content, release });
    }
  }

  async #make(number: number, slot: Slot, free: Promise<void>): Promise<Batch | null> {
    const place = number * this.sampler.batchSize;
    const loading = this.sampler.batch(number).map((index, i) => this.#load(index, place + i));
    const clips = (await Promise.all(loading)).filter((clip) => clip !== null);
    await free;
    if (this.#closed || clips.length === 0) return null;
    const facts = clips.map((clip) => clip.facts);
    const shape = batchShape(facts, this.options.sizeDivisibility);
    const [, numFrames, height, width] = shape;
    const clipLength = numFrames * height * width * 3;
    const length = clips.length * clipLength;
    // Fresh memory of this size costs more than filling it.
    if (!slot.memory || slot.memory.length < length) slot.memory = this.reader.allocate(length);
    const video = slot.memory.subarray(0, length);
    await Promise.all(clips.map((clip, i) => clip.write(video, { offset: i * clipLength, height, width })));
    return makeBatch(facts, shape, video);
  }

  /** Clip `index`, or its replacement where it is skipped, or null where there is none. */
  async #load(index: number, place: number): Promise<LoadedClip | null> {
    const { seed, onError } = this.options;
    const augmentation = drawAugmentation(
      this.dataset.transforms,
      Rng.forName(seed, `clip at place ${place}`),
    );
    let last: unknown;
    let candidate = index;
    for (let attempt = 0; attempt <= REPLACEMENTS; attempt++) {
      if (attempt > 0) {
        if (!this.sampler.replacement) return null;
        candidate = this.sampler.replacement(index, Rng.forName(seed, `replacement ${attempt} at ${place}`));
      }
      // It failed before, and may have cost a thread its life.
      if (this.#skipped.has(candidate)) continue;
      try {
        return await this.reader.load({ source: this.dataset.source(candidate), augmentation });
      } catch (error) {
        const skip =
          onError === 'skip' && error instanceof DataError && !(error instanceof ThreadsFailedError);
        if (!skip || this.#closed) throw error;
        this.#skip(candidate, error);
        last = error;
      }
    }
    throw new DataError(
      `${REPLACEMENTS + 1} clips, one in place of the other, could not be loaded${last ? `; the last: ${(last as Error).message}` : ''}`,
    );
  }

  #skip(index: number, error: DataError): void {
    if (this.#skipped.has(index)) return;
    const { info } = this.dataset.source(index);
    this.#skipped.set(index, info);
    const instead = this.sampler.replacement ? 'another clip takes its place' : 'it is left out';
    this.options.warn(`video ${info.videoName}, second ${info.second}: ${instead}: ${error.message}`);
  }
}

export interface TrainLoaderOptions {
  readonly seed: number;
  /** The number of the first batch, 0 for a new run. */
  readonly startIteration?: number;
  readonly warn?: (message: string) => void;
}

/**
 * The training batches: MAX_EPOCH · ITER_PER_EPOCH of VIDEOS_PER_BATCH · ACCUMULATE clips, from number `startIteration`. Opens and
 * checks the data first: DataError, ConfigError.
 */
export function createTrainLoader(
  cfg: DataConfig,
  { seed, startIteration = 0, warn }: TrainLoaderOptions,
): BatchLoader<TrainSampler> {
  const dataset = AvaDataset.open(cfg, 'train');
  const { MAX_EPOCH, ITER_PER_EPOCH } = cfg.SOLVER;
  const numBatches = MAX_EPOCH * ITER_PER_EPOCH;
  const sampler = new TrainSampler(groupsOf(dataset, cfg), clipsPerStep(cfg), numBatches, seed);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, seed, startIteration, warn));
}

export interface TestLoaderOptions {
  /** The test split, if it was opened before. */
  readonly dataset?: AvaDataset;
  readonly seed?: number;
  readonly warn?: (message: string) => void;
}

/** The evaluation batches: every key frame of the test lists once; in order, unless they are grouped by shape. */
export function createTestLoader(
  cfg: DataConfig,
  { dataset = AvaDataset.open(cfg, 'test'), seed = 0, warn }: TestLoaderOptions = {},
): BatchLoader {
  const sampler = new SequentialSampler(groupsOf(dataset, cfg), cfg.TEST.VIDEOS_PER_BATCH);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, seed, 0, warn));
}

/** The group of every clip: clips of different groups are never in one batch. */
function groupsOf(dataset: AvaDataset, cfg: DataConfig): Uint8Array {
  return cfg.DATALOADER.ASPECT_RATIO_GROUPING ? groupByShape(dataset) : new Uint8Array(dataset.length);
}

function loaderOptions(
  { DATALOADER }: DataConfig,
  seed: number,
  start: number,
  warn: LoaderOptions['warn'] = (message) => process.emitWarning(message),
): LoaderOptions {
  return {
    seed,
    start,
    numWorkers: DATALOADER.NUM_WORKERS,
    sizeDivisibility: DATALOADER.SIZE_DIVISIBILITY,
    onError: DATALOADER.ON_ERROR,
    warn,
  };
}
