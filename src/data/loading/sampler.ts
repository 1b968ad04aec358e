/** @file Samplers: which clips form which batch. */
import { DataError } from '../../errors.js';
import { Rng } from '../../util/random.js';

/** Batches by number, so that a run can begin at any of them. */
export interface BatchSampler {
  readonly numBatches: number;
  /** Maximum number of clips in a batch. */
  readonly batchSize: number;
  /** Indices of the clips of batch `number`, 0 ≤ number < numBatches. */
  batch(number: number): readonly number[];
  /** A random clip to use in place of `index`; undefined if no clip may replace another. */
  replacement?(index: number, rng: Rng): number;
}

/**
 * Cuts an order of clips into batches whose clips are of one group, like maskrcnn-benchmark: clips stay in order within a
 * group, batches are in the order of their first clips. The last batch of each group may be smaller.
 */
export function cutIntoBatches(
  order: Iterable<number>,
  groups: ArrayLike<number>,
  batchSize: number,
): number[][] {
  const batches: number[][] = [];
  const open = new Map<number, number[]>();
  for (const index of order) {
    let batch = open.get(groups[index]);
    if (!batch || batch.length === batchSize) {
      batch = [];
      open.set(groups[index], batch);
      batches.push(batch);
    }
    batch.push(index);
  }
  return batches;
}

/** The order of all clips in one data pass. */
export interface PassOrder {
  /** Number of the data pass, from 0. */
  readonly pass: number;
  /** Indices of all clips. */
  readonly order: Int32Array;
}

/** A position between two batches. */
export interface SamplerPosition extends PassOrder {
  /** Number of the next batch within the data pass. */
  readonly batch: number;
}

/** Says that no group of clips fills a batch; `sizes` are those of the groups. */
function tooFewClips(sizes: readonly number[], batchSize: number): string {
  const max = Math.max(0, ...sizes);
  if (max === 0) {
    return (
      'the training data has no key frames: no annotated second of a video in the frame lists can be used ' +
      '(stmixer data check says why)'
    );
  }
  const shape = sizes.length > 1 ? ' of one shape (DATALOADER.ASPECT_RATIO_GROUPING)' : '';
  return (
    `the training data has ${max} key ${max === 1 ? 'frame' : 'frames'}${shape}, fewer than one batch of ` +
    `${batchSize}; set SOLVER.VIDEOS_PER_BATCH · SOLVER.ACCUMULATE to at most ${max} or add annotations`
  );
}

/**
 * Batches for training. Every data pass has its own random order, which depends only on the seed and the number of the pass.
 * Clips that do not fill a last batch are left out of that pass.
 */
export class TrainSampler implements BatchSampler {
  readonly #members = new Map<number, number[]>();
  /** Full batches in one data pass. */
  readonly batchesPerPass: number;
  #resumed: PassOrder | null = null;
  #pass: { number: number; batches: number[][] } | null = null;

  /** `groups` has the group of every clip. Throws DataError if no group fills one batch. */
  constructor(
    readonly groups: ArrayLike<number>,
    readonly batchSize: number,
    readonly numBatches: number,
    readonly seed: number,
  ) {
    for (let index = 0; index < groups.length; index++) {
      const members = this.#members.get(groups[index]);
      if (members) members.push(index);
      else this.#members.set(groups[index], [index]);
    }
    const sizes = [...this.#members.values()].map((members) => members.length);
    this.batchesPerPass = sizes.reduce((sum, size) => sum + Math.floor(size / batchSize), 0);
    if (this.batchesPerPass === 0) {
      throw new DataError(tooFewClips(sizes, batchSize));
    }
  }

  batch(number: number): readonly number[] {
    const pass = Math.floor(number / this.batchesPerPass);
    if (this.#pass?.number !== pass) {
      const batches = cutIntoBatches(this.#orderOf(pass), this.groups, this.batchSize);
      this.#pass = { number: pass, batches: batches.filter(({ length }) => length === this.batchSize) };
    }
    return this.#pass.batches[number % this.batchesPerPass];
  }

  /** The position before batch `number`. */
  positionOf(number: number): SamplerPosition {
    const pass = Math.floor(number / this.batchesPerPass);
    return { pass, batch: number % this.batchesPerPass, order: this.#orderOf(pass) };
  }

  /** Continues a data pass of an earlier run in its order, even if that run had another seed. */
  resume(order: PassOrder): void {
    this.#resumed = order;
    this.#pass = null;
  }

  #orderOf(pass: number): Int32Array {
    if (this.#resumed?.pass === pass) return this.#resumed.order;
    return Int32Array.from(Rng.forName(this.seed, `order of pass ${pass}`).permutation(this.groups.length));
  }

  /** Any clip of the same group. The next clip is usually of the same video, which may be broken as a whole. */
  replacement(index: number, rng: Rng): number {
    const members = this.#members.get(this.groups[index]) as number[];
    return members[rng.int(members.length)];
  }
}

/** One of `count` parts of the batches: numbers `index`, `index` + `count`, and so on. */
export interface BatchPart {
  readonly index: number;
  readonly count: number;
}

/** Batches for evaluation with every clip once, in order if all clips are of one group. */
export class SequentialSampler implements BatchSampler {
  readonly #batches: number[][];

  /** By default the sampler has all batches. */
  constructor(
    groups: ArrayLike<number>,
    readonly batchSize: number,
    part: BatchPart = { index: 0, count: 1 },
  ) {
    const order = Array.from({ length: groups.length }, (_, index) => index);
    const all = cutIntoBatches(order, groups, batchSize);
    this.#batches = all.filter((_, number) => number % part.count === part.index);
  }

  get numBatches(): number {
    return this.#batches.length;
  }

  batch(number: number): readonly number[] {
    return this.#batches[number];
  }
}
