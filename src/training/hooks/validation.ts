/** @file Evaluates the model in training and at its end, and keeps the best weights. */
import { existsSync } from 'node:fs';
import { BEST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import { Checkpointer } from '../../checkpoint/checkpointer.js';
import { iterationIn } from '../../checkpoint/run_checkpoints.js';
import { CheckpointError } from '../../errors.js';
import type { EvaluationReport } from '../../evaluation/types.js';
import { bestSoFar, meanPrecisionAt, readEvaluations, recordEvaluation } from '../../run/evaluations.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';

export interface ValidationOptions {
  /** Iterations between two evaluations, or null for none in training. */
  readonly period: number | null;
  /** Iterations before the first evaluation. */
  readonly after: number;
  /** Evaluates once more at the end of the run, unless that was just done. */
  readonly finalTest: boolean;
}

/** Evaluations that OUTPUT_DIR holds when the run starts. */
export interface EarlierEvaluations {
  /** Iterations that are evaluated already, or that this run has no part in. */
  readonly recorded: Iterable<number>;
  /** Highest mAP of the run up to its start, or null. */
  readonly best: number | null;
  /** mAP of the model_best.pth that is there, 0 without one. A run that goes back may never be as good again. */
  readonly kept: number;
}

/** Reads what a run that starts after `iteration` steps finds in its folder. */
export function earlierEvaluations(
  outputDir: string,
  iteration: number,
  isContinued: boolean,
): EarlierEvaluations {
  const recorded = new Set(
    readEvaluations(outputDir).flatMap((line) => (line.iteration === iteration ? [iteration] : [])),
  );
  // An evaluation that a run in another folder has left out is not for this run to catch up on.
  if (!isContinued) recorded.add(iteration);
  return { recorded, best: bestSoFar(outputDir, iteration), kept: keptPrecision(outputDir) };
}

export class ValidationHook implements Hook {
  readonly #recorded: Set<number>;
  readonly #kept: number;
  #best: number | null;

  constructor(
    private readonly options: ValidationOptions,
    { recorded, best, kept }: EarlierEvaluations,
  ) {
    this.#recorded = new Set(recorded);
    this.#best = best;
    this.#kept = kept;
  }

  /** Catches up on the evaluation during which the run was stopped. */
  async beforeTraining(run: TrainingRun): Promise<void> {
    const { iteration } = run.state;
    if (iteration > 0 && this.#isDue(iteration)) await this.#evaluate(run);
  }

  async afterSchedule(run: TrainingRun, { iteration }: StepReport): Promise<void> {
    if (this.#isDue(iteration)) await this.#evaluate(run);
  }

  async afterTraining(run: TrainingRun): Promise<void> {
    if (this.options.finalTest && run.state.iteration >= run.maxIterations) await this.#evaluate(run);
  }

  #isDue(iteration: number): boolean {
    const { period, after } = this.options;
    return period !== null && iteration > after && iteration % period === 0;
  }

  async #evaluate(run: TrainingRun): Promise<void> {
    if (this.#recorded.has(run.state.iteration) || run.signal.aborted) return;
    const report = await this.#attempt(run);
    if (report === null) return;
    if (report.best) await this.#saveBest(run, report);
    // From here on the evaluation counts: a run that ends before repeats it when it goes on.
    this.#recorded.add(report.iteration);
    if (report.best) this.#best = report.results.mAP;
    recordEvaluation(run.cfg.OUTPUT_DIR, report);
    for (const hook of run.hooks) await hook.afterEvaluation?.(run, report);
  }

  /** Evaluates the model. A full or unmounted disk must not cost more than this evaluation. */
  async #attempt(run: TrainingRun): Promise<EvaluationReport | null> {
    try {
      return await run.evaluate(this.#best);
    } catch (error) {
      if (!(error as NodeJS.ErrnoException).syscall) throw error;
      const { message } = error as Error;
      run.log.error(`the evaluation after iteration ${run.state.iteration} is lost: ${message}`);
      return null;
    }
  }

  async #saveBest(run: TrainingRun, { results }: EvaluationReport): Promise<void> {
    if ((results.mAP ?? 0) >= this.#kept) await run.saveBest();
    else {
      const kept = this.#kept.toFixed(4);
      run.log.info(`model_best.pth stays: it reached mAP ${kept} before this run went back`);
    }
  }
}

/** The mAP of the model_best.pth in a folder; 0 if there is none or it was evaluated elsewhere. */
function keptPrecision(outputDir: string): number {
  const path = new Checkpointer(outputDir).pathOf(BEST_CHECKPOINT);
  try {
    return existsSync(path) ? (meanPrecisionAt(outputDir, iterationIn(path) ?? -1) ?? 0) : 0;
  } catch (error) {
    // A damaged file is not worth keeping.
    if (error instanceof CheckpointError) return 0;
    throw error;
  }
}
