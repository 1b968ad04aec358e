/** @file Hooks: what a run does around its steps, and what they see of it. */
import type { Config } from '../config/index.js';
import type { Batch } from '../data/loading/collate.js';
import type { EvaluationReport } from '../evaluation/types.js';
import type { Logger } from '../run/logger.js';
import type { NonFinite } from './nonfinite/nonfinite.js';
import type { StepLosses } from './step.js';
import type { TrainingState } from './training_state.js';

/** Losses of a step, or why it was skipped; losses and gradient norm are NaN then. */
export type GuardedLosses = StepLosses & { readonly skipped?: NonFinite };

/** Outcome of one step. A skipped step changed nothing but the schedule's position. */
export interface StepReport extends GuardedLosses {
  /** Number of the step in the whole run, from 1. */
  readonly iteration: number;
  /** Learning rate of every parameter group in this step, before layer decay. */
  readonly lr: readonly number[];
  /** Wall time of the iteration in seconds, the wait for data included. */
  readonly seconds: number;
  /** Seconds of it that were spent waiting for data. */
  readonly dataSeconds: number;
  /** Estimated seconds to the end of the run. */
  readonly etaSeconds: number;
}

/** A run as its hooks see it; a Trainer is one. */
export interface TrainingRun {
  readonly cfg: Config;
  readonly log: Logger;
  /** Aborted when the run should end. */
  readonly signal: AbortSignal;
  readonly state: TrainingState;
  /** Steps done before this start of the run. */
  readonly startIteration: number;
  /** Steps of the whole run. */
  readonly maxIterations: number;
  readonly hooks: readonly Hook[];
  /**
   * Saves the state as it is now, as `<name>.pth` (by default `model_<iteration>.pth`), unless the latest checkpoint is
   * of this iteration and no name is given. The file may be written later. Returns its path. Throws CheckpointError if an
   * earlier file could not be written.
   */
  save(name?: string): Promise<string>;
  /** Makes the state as it is now `model_best.pth`. Throws CheckpointError. */
  saveBest(): Promise<void>;
  /** Waits until all checkpoints are written. Throws CheckpointError. */
  settle(): Promise<void>;
  /** Evaluates the model on the test lists; `best` is the highest mAP so far. Returns null if there are none, or on abort. */
  evaluate(best?: number | null): Promise<EvaluationReport | null>;
}

/** Something that happens around the steps of a run. Errors end the run. */
export interface Hook {
  /** Called once everything is restored and open, before the first step. */
  beforeTraining?(run: TrainingRun): void | Promise<void>;
  beforeStep?(run: TrainingRun, batch: Batch): void | Promise<void>;
  /** Called after the optimizer's step and before the scheduler's. */
  afterStep?(run: TrainingRun, report: StepReport): void | Promise<void>;
  /** Called after the scheduler's step; a checkpoint saved here continues with the next iteration. */
  afterSchedule?(run: TrainingRun, report: StepReport): void | Promise<void>;
  afterEvaluation?(run: TrainingRun, report: EvaluationReport): void | Promise<void>;
  /** Called at the end of the loop, also when the run was aborted, but not after an error. */
  afterTraining?(run: TrainingRun): void | Promise<void>;
  /** Called at the very end in any case, errors included. */
  close?(): void;
}
