/** @file Saves checkpoints every few epochs and minutes, at the end, and when a run is stopped. */
import { FINAL_CHECKPOINT, LATEST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';

export interface CheckpointOptions {
  /** Iterations between two numbered checkpoints. */
  readonly period: number;
  /** Seconds after which `model_latest.pth` is saved although the period is not over; 0 = never. */
  readonly seconds: number;
}

export class CheckpointHook implements Hook {
  #savedAt = performance.now();

  constructor(private readonly options: CheckpointOptions) {}

  async afterSchedule(run: TrainingRun, { iteration }: StepReport): Promise<void> {
    if (iteration % this.options.period === 0) await this.#save(run);
    else if (this.#isOverdue()) await this.#save(run, LATEST_CHECKPOINT);
  }

  async afterTraining(run: TrainingRun): Promise<void> {
    const { state, startIteration, maxIterations } = run;
    if (state.iteration > startIteration) {
      // A run that was stopped early saves what it learned since the last checkpoint.
      await this.#save(run, state.iteration === maxIterations ? FINAL_CHECKPOINT : undefined);
    }
    await run.settle();
  }

  #isOverdue(): boolean {
    const { seconds } = this.options;
    return seconds > 0 && performance.now() - this.#savedAt >= 1000 * seconds;
  }

  async #save(run: TrainingRun, name?: string): Promise<void> {
    await run.save(name);
    this.#savedAt = performance.now();
  }
}
