/** @file Saves checkpoints every few epochs, at the end, and when a run is stopped. */
import { checkpointName, FINAL_CHECKPOINT } from '../../checkpoint/checkpointer.js';
import type { Hook, StepReport } from '../loop.js';

export interface CheckpointOptions {
  /** Iterations between two checkpoints. */
  period: number;
  maxIterations: number;
  /** Writes `<name>.pth` with the state after `iteration` steps; returns its path. */
  save(name: string, iteration: number): Promise<string>;
}

export class CheckpointHook implements Hook {
  #latest: { readonly path: string; readonly iteration: number } | null = null;

  constructor(private readonly options: CheckpointOptions) {}

  async afterSchedule({ iteration }: StepReport): Promise<void> {
    if (iteration % this.options.period === 0) await this.#save(iteration);
  }

  async afterTraining(iteration: number): Promise<void> {
    if (iteration === this.options.maxIterations) await this.#save(iteration, FINAL_CHECKPOINT);
    // Stopped before its end: what was learned since the last checkpoint is kept.
    else if (iteration !== this.#latest?.iteration) await this.#save(iteration);
  }

  /** The file that this hook wrote after so many steps, or null. */
  savedAfter(iteration: number): string | null {
    return this.#latest?.iteration === iteration ? this.#latest.path : null;
  }

  async #save(iteration: number, name = checkpointName(iteration)): Promise<void> {
    this.#latest = { path: await this.options.save(name, iteration), iteration };
  }
}
