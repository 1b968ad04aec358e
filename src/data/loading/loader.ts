/** @file Batch loaders: batches in order, loaded ahead while the model computes. */
import { DataError } from '../../errors.js';
import { Rng } from '../../util/random.js';
import type { ClipInfo } from '../clip/clip.js';
import { drawAugmentation } from '../clip/transforms.js';
import { clipsPerStep, type DataConfig } from '../data_config.js';
import { AvaDataset } from '../datasets/ava_dataset.js';
import { readableTime } from '../time.js';
import { groupByShape } from './aspect_ratio_grouping.js';
import type { BatchFacts, BatchShare } from './batch_share.js';
import { type ClipLoader, type LoadedClip, LocalClipLoader } from './clip_loader.js';
import { type Batch, batchShape, makeBatch } from './collate.js';
import { type BatchPart, type BatchSampler, SequentialSampler, TrainSampler } from './sampler.js';
import { WorkerPool, WorkersFailedError } from './worker_pool.js';

/** Minimum number of batches that are loaded ahead of the requested one. */
const BATCHES_AHEAD = 2;
/** Clips assigned to a worker in advance, so that it need not wait for the main thread. */
const CLIPS_PER_WORKER = 2;
/** Number of clips that are tried in place of one that cannot be loaded. */
const REPLACEMENTS = 10;

export interface LoaderOptions {
  readonly seed: number;
  /** Number of the first batch. */
  readonly start: number;
  /** Worker threads that load clips; 0 to load them in the calling thread. */
  readonly numWorkers: number;
  readonly sizeDivisibility: number;
  /** Whether a clip that cannot be loaded stops the loader or is skipped. */
  readonly onError: 'stop' | 'skip';
  /** Called once for every skipped clip. */
  readonly warn: (message: string) => void;
  /** This process's part of each batch; by default all of it. */
  readonly share?: BatchShare;
}

/** Memory for the video of one batch, used by one batch after the other. */
interface Slot {
  memory: Float32Array | null;
  /** Resolves when the current batch no longer needs the memory. */
  free: Promise<void>;
}

/** A batch in the making; `content` is null if none of its clips can be loaded. */
interface Pending {
  readonly content: Promise<Batch | null>;
  readonly release: () => void;
}

/** How many batches a loader has memory for, and how many are being read ahead. */
export function loaderBuffers(numWorkers: number, batchSize: number): { slots: number; ahead: number } {
  const clipsAhead = CLIPS_PER_WORKER * numWorkers;
  return {
    // Threads fill a second slot while the first is in use; the thread that asks gains nothing by it.
    slots: numWorkers > 0 ? 2 : 1,
    ahead: Math.max(BATCHES_AHEAD, Math.ceil(clipsAhead / batchSize)),
  };
}

/**
 * The batches of a sampler, one after the other. A clip's random choices depend only on the seed and on its position in the
 * run, not on timing, the number of workers, or the batch at which a run was resumed.
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
    private readonly clips: ClipLoader = options.numWorkers > 0
      ? new WorkerPool(options.numWorkers, dataset.transforms)
      : new LocalClipLoader(dataset.transforms),
  ) {
    this.#nextBatch = options.start;
    const clipsOfBatch = options.share?.places(sampler.batchSize).length ?? sampler.batchSize;
    const { slots, ahead } = loaderBuffers(options.numWorkers, clipsOfBatch);
    this.#slots = Array.from({ length: slots }, () => ({ memory: null, free: Promise.resolve() }));
    this.#ahead = ahead;
  }

  /** Number of batches of the whole run, including those before `start`. */
  get numBatches(): number {
    return this.sampler.numBatches;
  }

  /** Clips that were skipped so far, sorted by index. */
  get skipped(): readonly ClipInfo[] {
    return [...this.#skipped.values()].sort((a, b) => a.clipId - b.clipId);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next batch; the following call overwrites its `video`. Throws DataError if a clip of this batch cannot be loaded and
   * `onError` is `stop`; the loader is closed then. With `skip`, another clip takes the place of a broken one if the sampler
   * offers a replacement; otherwise the batch is smaller.
   */
  async next(): Promise<IteratorResult<Batch, undefined>> {
    this.#releaseLast();
    this.clips.setAwaited(true);
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
      this.clips.setAwaited(false);
    }
  }

  async return(): Promise<IteratorResult<Batch, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Stops loading and releases the memory; all workers have ended when it resolves. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#releaseLast();
    for (const { release } of this.#queue.splice(0)) release();
    for (const slot of this.#slots) slot.memory = null;
    await this.clips.close();
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
      // `next` reports the error when it gets to this batch, which may be much later or never.
      content.catch(() => {});
      this.#queue.push({ content, release });
    }
  }

  async #make(number: number, slot: Slot, free: Promise<void>): Promise<Batch | null> {
    const { clips, places, facts } = await this.#loadClips(number);
    await free;
    if (this.#closed || clips.length === 0) return null;
    const metadata = clips.map((clip) => clip.metadata);
    const shape = batchShape(metadata, this.options.sizeDivisibility, facts ? [facts] : metadata);
    const [, numFrames, height, width] = shape;
    const clipLength = numFrames * height * width * 3;
    const length = clips.length * clipLength;
    // Allocating memory of this size takes longer than filling it.
    if (!slot.memory || slot.memory.length < length) slot.memory = this.clips.allocate(length);
    const video = slot.memory.subarray(0, length);
    await Promise.all(clips.map((clip, i) => clip.write(video, { offset: i * clipLength, height, width })));
    const batch = makeBatch(metadata, shape, video);
    return facts ? { ...batch, whole: { boxCounts: facts.boxCounts, places } } : batch;
  }

  /** Loads this process's clips of a batch. `facts` is null if it has all of them. */
  async #loadClips(number: number): Promise<{
    clips: readonly LoadedClip[];
    places: readonly number[];
    facts: BatchFacts | null;
  }> {
    const { share } = this.options;
    const indices = this.sampler.batch(number);
    const first = number * this.sampler.batchSize;
    const places = share?.places(indices.length) ?? [...indices.keys()];
    const loading = Promise.all(
      places.map(async (place) => ({ place, clip: await this.#load(indices[place], first + place) })),
    ).then((all) => all.flatMap(({ place, clip }) => (clip ? [{ place, clip }] : [])));
    // In the order of the batches, although they are loaded in any order.
    const exchanged = share?.exchange(
      indices.length,
      loading.then((all) => all.map(({ place, clip: { metadata } }) => ({ place, metadata }))),
    );
    const [loaded, facts = null] = await Promise.all([loading, exchanged]);
    return { clips: loaded.map(({ clip }) => clip), places: loaded.map(({ place }) => place), facts };
  }

  /** Loads clip `index` or, if it is skipped, its replacement; null if the sampler has none. */
  async #load(index: number, position: number): Promise<LoadedClip | null> {
    const { seed } = this.options;
    const augmentation = drawAugmentation(
      this.dataset.transforms,
      Rng.forName(seed, `clip at place ${position}`),
    );
    let last: unknown;
    let candidate = index;
    for (let attempt = 0; attempt <= REPLACEMENTS; attempt++) {
      if (attempt > 0) {
        if (!this.sampler.replacement) return null;
        const rng = Rng.forName(seed, `replacement ${attempt} at ${position}`);
        candidate = this.sampler.replacement(index, rng);
      }
      // A clip that failed before may even have killed a worker.
      if (this.#skipped.has(candidate)) continue;
      try {
        return await this.clips.load({ source: this.dataset.source(candidate), augmentation });
      } catch (error) {
        if (!this.#maySkip(error)) throw error;
        this.#skip(candidate, error);
        last = error;
      }
    }
    throw new DataError(
      `a clip and ${REPLACEMENTS} replacements could not be loaded${last ? `; the last error: ${(last as Error).message}` : ''}`,
    );
  }

  #maySkip(error: unknown): error is DataError {
    const isClipError = error instanceof DataError && !(error instanceof WorkersFailedError);
    return this.options.onError === 'skip' && isClipError && !this.#closed;
  }

  #skip(index: number, error: DataError): void {
    if (this.#skipped.has(index)) return;
    const { info } = this.dataset.source(index);
    this.#skipped.set(index, info);
    const instead = this.sampler.replacement ? 'another clip takes its place' : 'it is left out';
    this.options.warn(
      `video ${info.videoName}, second ${readableTime(info.second)}: ${instead}: ${error.message}`,
    );
  }
}

export interface TrainLoaderOptions {
  readonly seed: number;
  /** Number of the first batch, 0 for a new run. */
  readonly startIteration?: number;
  readonly warn?: (message: string) => void;
  readonly share?: BatchShare;
}

/**
 * Loads the training batches: MAX_EPOCH · ITER_PER_EPOCH batches of VIDEOS_PER_BATCH · ACCUMULATE clips, beginning with number
 * `startIteration`. Opens and checks the data first. Throws DataError, ConfigError.
 */
export function createTrainLoader(
  cfg: DataConfig,
  { seed, startIteration = 0, warn, share }: TrainLoaderOptions,
): BatchLoader<TrainSampler> {
  const dataset = AvaDataset.open(cfg, 'train');
  const { MAX_EPOCH, ITER_PER_EPOCH } = cfg.SOLVER;
  const numBatches = MAX_EPOCH * ITER_PER_EPOCH;
  const sampler = new TrainSampler(groupsOf(dataset, cfg), clipsPerStep(cfg), numBatches, seed);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, { seed, start: startIteration, warn, share }));
}

export interface TestLoaderOptions {
  /** The test split if it is open already. */
  readonly dataset?: AvaDataset;
  readonly seed?: number;
  readonly warn?: (message: string) => void;
  /** The batches to load, by default all. */
  readonly part?: BatchPart;
}

/** Loads the evaluation batches: every key frame of the test lists once, in order unless they are grouped by shape. */
export function createTestLoader(
  cfg: DataConfig,
  { dataset = AvaDataset.open(cfg, 'test'), seed = 0, warn, part }: TestLoaderOptions = {},
): BatchLoader {
  const sampler = new SequentialSampler(groupsOf(dataset, cfg), cfg.TEST.VIDEOS_PER_BATCH, part);
  return new BatchLoader(dataset, sampler, loaderOptions(cfg, { seed, start: 0, warn }));
}

/** The group of every clip; clips of different groups are never in one batch. */
function groupsOf(dataset: AvaDataset, cfg: DataConfig): Uint8Array {
  return cfg.DATALOADER.ASPECT_RATIO_GROUPING ? groupByShape(dataset) : new Uint8Array(dataset.length);
}

function loaderOptions(
  { DATALOADER }: DataConfig,
  {
    warn = (message) => process.emitWarning(message),
    ...options
  }: Pick<LoaderOptions, 'seed' | 'start' | 'share'> & Partial<Pick<LoaderOptions, 'warn'>>,
): LoaderOptions {
  return {
    ...options,
    numWorkers: DATALOADER.NUM_WORKERS,
    sizeDivisibility: DATALOADER.SIZE_DIVISIBILITY,
    onError: DATALOADER.ON_ERROR,
    warn,
  };
}
