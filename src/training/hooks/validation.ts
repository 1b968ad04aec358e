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
  /** Evaluates the model as it is; null where it was stopped. */
  evaluate(iteration: number): Promise<EvaluationReport | null>;
  /** Keeps the weights as the best ones. */
  saveBest(iteration: number): Promise<void>;
  /** Told of every evaluation. */
  hooks: readonly Hook[];
}

export class ValidationHook implements Hook {
  #lastEvaluated = -1;

  constructor(private readonly options: ValidationOptions) {}

  async afterSchedule({ iteration }: StepReport): Promise<void> {
    const { period, after } = this.options;
    if (period !== null && iteration > after && iteration % period === 0) await this.#evaluate(iteration);
  }

  async afterTraining(iteration: number): Promise<void> {
    const { finalTest, maxIterations } = this.options;
    if (finalTest && iteration === maxIterations && this.#lastEvaluated !== iteration) {
      await this.#evaluate(iteration);
    }
  }

  async #evaluate(iteration: number): Promise<void> {
    const report = await this.options.evaluate(iteration);
    if (report === null) return;
    this.#lastEvaluated = iteration;
    for (const hook of this.options.hooks) await hook.afterEvaluation?.(report);
    if (report.best) await this.options.saveBest(iteration);
  }
}
