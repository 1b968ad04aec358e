/** @file The training loop; everything around a step is a hook. */

import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Batch } from '../data/loading/collate.js';
import type { EvaluationReport } from '../evaluation/types.js';
import type { SetCriterion } from '../loss/criterion.js';
import type { Detector } from '../model/detector.js';
import type { LrSchedule, Optimizer } from '../solver/index.js';
import type { GuardedLosses, NonFiniteGuard } from './nonfinite/nonfinite_guard.js';
import { type StepOptions, stepRng, trainStep } from './step.js';

/** For how long a run that was told to stop waits for its loader. */
const CLOSING_MS = 1000;

/** What a step did; a skipped one changed nothing but the schedule's position. */
export interface StepReport extends GuardedLosses {
  /** Number of the step in the whole run, from 1. */
  iteration: number;
  /** The rate of every parameter group in this step, before layer decay. */
  lr: number[];
  /** Wall time of the iteration, the wait for data included, and that wait, in seconds. */
  seconds: number;
  dataSeconds: number;
}

/** Something that happens around the steps. */
export interface Hook {
  /** Before the first step. */
  beforeTraining?(iteration: number): Promise<void>;
  /** After the optimizer's and before the scheduler's step. */
  afterStep?(report: StepReport): void | Promise<void>;
  /** After the scheduler's step: what is saved here continues with the next iteration. */
  afterSchedule?(report: StepReport): void | Promise<void>;
  /** After an evaluation, in training or at its end. */
  afterEvaluation?(report: EvaluationReport): void | Promise<void>;
  /** At the end of the loop, also when it was stopped; not after an error. */
  afterTraining?(iteration: number): void | Promise<void>;
  /** In any case, errors included. */
  close?(): void;
}

/** What training changes, and what a checkpoint therefore holds. */
export interface TrainingState {
  model: Detector;
  criterion: SetCriterion;
  optimizer: Optimizer;
  scheduler: LrSchedule;
}

/** Everything that a run trains with. */
export interface TrainingRun {
  state: TrainingState;
  /** The batches from `startIteration` on. */
  batches: AsyncIterator<Batch>;
  /** Steps that were done before, and those of the whole run. */
  startIteration: number;
  maxIterations: number;
  seed: number;
  step: StepOptions;
  nonFinite: NonFiniteGuard;
  hooks: readonly Hook[];
  /** Ends the run after the step, or while it waits for data. */
  stop: { readonly received: boolean; readonly arrival: Promise<null> };
}

/**
 * Trains from `startIteration` to `maxIterations` and returns the number of the last step done. Order of a step, as in
 * the PyTorch original: loss, backward, optimizer, log, scheduler, save.
 */
export async function runTraining(run: TrainingRun): Promise<number> {
  const { model, optimizer, scheduler } = run.state;
  const { hooks, seed } = run;
  let iteration = run.startIteration;
  try {
    model.train();
    for (const hook of hooks) await hook.beforeTraining?.(iteration);
    while (iteration < run.maxIterations && !run.stop.received) {
      const start = performance.now();
      const next = await Promise.race([run.batches.next(), run.stop.arrival]);
      if (next === null || next.done) break;
      const batch = next.value;
      const loaded = performance.now();
      iteration++;

      const lr = optimizer.paramGroups.map((group) => group.lr);
      const losses = await run.nonFinite.watch(batch, iteration, () =>
        trainStep(run.state, batch, stepRng(seed, iteration), run.step),
      );

      const report: StepReport = {
        ...losses,
        iteration,
        lr,
        seconds: (performance.now() - start) / 1000,
        dataSeconds: (loaded - start) / 1000,
      };
      for (const hook of hooks) await hook.afterStep?.(report);
      scheduler.step();
      for (const hook of hooks) await hook.afterSchedule?.(report);
      // A step may block the event loop: let signals and the loader have their turn.
      await setImmediate();
    }
    await endTraining(hooks, iteration);
    return iteration;
  } finally {
    for (const hook of hooks) hook.close?.();
    // Where a read hangs in the system, so does the end of whoever waits for it.
    const patience = run.stop.received ? [setTimeout(CLOSING_MS)] : [];
    await Promise.race([run.batches.return?.(), ...patience]);
  }
}

/** What is left to do after so many iterations when there are no more. */
export async function endTraining(hooks: readonly Hook[], iteration: number): Promise<void> {
  for (const hook of hooks) await hook.afterTraining?.(iteration);
}
