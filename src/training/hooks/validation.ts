/** @file Evaluates the model in training and at its end, and keeps the best weights. */
import type { EvaluationReport } from '../../evaluation/types.js';
import type { Hook, StepReport } from '../loop.js';

export interface ValidationOptions {
  /** Iterations between two evaluations, or null for none in training. */
  period: number | null;
  /** The first evaluation comes after more iterations than this. */
  after: number;
  maxIterations: number;
  /** Evaluates once more at the end of the run, if that was not just done. */
  finalTest: boolean;
  /** Whether the run, or the part of it before this one, has an evaluation after so many steps. */
  isRecorded(iteration: number): boolean;
  /** Evaluates the model as it is; null where it was stopped. */
  evaluate(iteration: number): Promise<EvaluationReport | null>;
  /** Keeps the weights as the best ones. */
  saveBest(report: EvaluationReport): Promise<void>;
  /** From here on the evaluation counts: a run that ends before repeats it when it goes on. */
  record(report: EvaluationReport): void;
  /** Told of every evaluation. */
  hooks: readonly Hook[];
}

export class ValidationHook implements Hook {
  constructor(private readonly options: ValidationOptions) {}

  /** Makes up for the evaluation that the run was stopped at. */
  async beforeTraining(iteration: number): Promise<void> {
    if (iteration > 0 && this.#isDue(iteration)) await this.#evaluate(iteration);
  }

  async afterSchedule({ iteration }: StepReport): Promise<void> {
    if (this.#isDue(iteration)) await this.#evaluate(iteration);
  }

  async afterTraining(iteration: number): Promise<void> {
    const { finalTest, maxIterations } = this.options;
    if (finalTest && iteration >= maxIterations) await this.#evaluate(iteration);
  }

  #isDue(iteration: number): boolean {
    const { period, after } = this.options;
    return period !== null && iteration > after && iteration % period === 0;
  }

  async #evaluate(iteration: number): Promise<void> {
    const { isRecorded, evaluate, saveBest, record, hooks } = this.options;
    if (isRecorded(iteration)) return;
    const report = await evaluate(iteration);
    if (report === null) return;
    if (report.best) await saveBest(report);
    record(report);
    for (const hook of hooks) await hook.afterEvaluation?.(report);
  }
}
