/** @file Which clips make up which batch. */
import { DataError } from '../errors.js';
import { Rng } from '../util/random.js';

/** Batches by number, so that a run can begin at any of them. */
export interface BatchSampler {
  readonly numBatches: number;
  /** Indices of the clips of batch `number`, 0 ≤ number < numBatches. */
  batch(number: number): number[];
}

/**
 * Batches for training: every pass over the data has a random order of its own, which depends on the seed and the
 * number of the pass alone; clips that do not fill a last batch are left out of that pass.
 */
export class TrainSampler implements BatchSampler {
  readonly #batchesPerPass: number;
  #order: { pass: number; indices: number[] } | null = null;

  /** Throws DataError where `length` clips do not make one batch. */
  constructor(
    readonly length: number,
    readonly batchSize: number,
    readonly numBatches: number,
    readonly seed: number,
  ) {
    if (length < batchSize) {
      throw new DataError(
        `the training data has ${length} key ${length === 1 ? 'frame' : 'frames'}, fewer than one batch of ` +
          `${batchSize}; set SOLVER.VIDEOS_PER_BATCH to at most ${length} or add annotations`,
      );
    }
    this.#batchesPerPass = Math.floor(length / batchSize);
  }

  batch(number: number): number[] {
    const pass = Math.floor(number / this.#batchesPerPass);
    if (this.#order?.pass !== pass) {
      const indices = Rng.forName(this.seed, `order of pass ${pass}`).permutation(this.length);
      this.#order = { pass, indices };
    }
    const start = (number % this.#batchesPerPass) * this.batchSize;
    return this.#order.indices.slice(start, start + this.batchSize);
  }
}

/** Batches for evaluation: every clip once, in order; the last batch may be smaller. */
export class SequentialSampler implements BatchSampler {
  readonly numBatches: number;

  constructor(
    readonly length: number,
    readonly batchSize: number,
  ) {
    this.numBatches = Math.ceil(length / batchSize);
  }

  batch(number: number): number[] {
    const start = number * this.batchSize;
    const size = Math.min(this.batchSize, this.length - start);
    return Array.from({ length: size }, (_, i) => start + i);
  }
}
