/** @file Saves checkpoints every few epochs, at the end, and when a run is stopped. */
import { checkpointName, FINAL_CHECKPOINT } from '../../checkpoint/checkpointer.js';
import type { Hook, StepReport } from '../loop.js';

export interface CheckpointOptions {
  /** Iterations between two checkpoints. */
  period: number;
  maxIterations: number;
  /** Writes `<name>.pth` with the state after `iteration` steps. */
  save(name: string, iteration: number): Promise<void>;
}

export class CheckpointHook implements Hook {
  #lastSaved = -1;

  constructor(private readonly options: CheckpointOptions) {}

  async afterSchedule({ iteration }: StepReport): Promise<void> {
    if (iteration % this.options.period === 0) await this.#save(iteration);
  }

  async afterTraining(iteration: number): Promise<void> {
    if (iteration === this.options.maxIterations) await this.options.save(FINAL_CHECKPOINT, iteration);
    // Stopped before its end: what was learned since the last checkpoint is kept.
    else if (iteration !== this.#lastSaved) await this.#save(iteration);
  }

  async #save(iteration: number): Promise<void> {
    await this.options.save(checkpointName(iteration), iteration);
    this.#lastSaved = iteration;
  }
}
