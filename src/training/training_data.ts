/** @file The clips that a run trains on, at the place and in the order in which they come. */
import type { Config } from '../config/index.js';
import type { AvaDataset } from '../data/datasets/ava_dataset.js';
import type { BatchShare } from '../data/loading/batch_share.js';
import type { Batch } from '../data/loading/collate.js';
import { dataIdentity } from '../data/loading/data_identity.js';
import { describeDataPasses } from '../data/loading/data_passes.js';
import { createTrainLoader } from '../data/loading/loader.js';
import type { PassOrder } from '../data/loading/sampler.js';
import type { Logger } from '../run/log.js';
import type { RunState } from '../run/resume_state.js';
import { countOf } from '../util/text.js';
import type { DataOrder, TrainingState } from './training_state.js';

/** Batches to train on. A program may bring its own. */
export interface TrainingData {
  /** Batches from the next step on; the run asks for one per step, and calls `return` at its end. */
  readonly batches: AsyncIterator<Batch>;
  /** Null if the order needs no place in checkpoints. */
  readonly order: DataOrder | null;
  /** The clips behind the batches, from which the memory of a step is estimated; null if they are not known. */
  readonly dataset: AvaDataset | null;
}

export interface DataOptions {
  /** The run that goes on; by default none. */
  readonly resume?: RunState | null;
  /** The order of a data pass that is given. */
  readonly order?: PassOrder;
  readonly log: Logger;
  /** This process's part of each batch; by default all of it. */
  readonly share?: BatchShare;
}

/**
 * Opens the training lists at the next step of `state`. A run that is resumed keeps the order of clips in `resume`. Logs
 * what the data is. Throws DataError.
 */
export function openTrainingData(
  cfg: Config,
  { iteration, seed }: TrainingState,
  { resume = null, log, share, order }: DataOptions,
): TrainingData {
  const warn = (message: string) => log.warn(message);
  const batches = createTrainLoader(cfg, { seed, startIteration: iteration, warn, share });
  const { dataset, sampler } = batches;
  for (const warning of dataset.warnings) log.warn(warning);
  log.info(`data: ${countOf(dataset.length, 'key frame')} in ${countOf(dataset.videos.length, 'video')}`);
  for (const note of dataset.notes) log.info(`data: ${note}`);
  const { line, warning } = describeDataPasses(sampler, cfg.SOLVER.ITER_PER_EPOCH);
  log.info(line);
  if (warning !== null) log.warn(warning);
  const identity = dataIdentity(batches);
  if (order) sampler.resume(order);
  else if (resume?.seed === seed && resume.data === identity) sampler.resume(resume.position);
  else if (resume?.seed === seed) {
    log.warn(
      'the training data or the batches are not those of the run so far: from here on clips come in an order of their own',
    );
  }
  return { batches, order: { identity, positionOf: (after) => sampler.positionOf(after) }, dataset };
}
