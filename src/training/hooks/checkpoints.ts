/** @file Saves checkpoints every few epochs and minutes, at the end, and when a run is stopped. */
import { checkpointName, FINAL_CHECKPOINT, LATEST_CHECKPOINT } from '../../checkpoint/checkpoint_names.js';
import type { Hook, StepReport } from '../loop.js';

export interface CheckpointOptions {
  /** Iterations between two checkpoints. */
  period: number;
  /** Seconds after which the state is saved even if the period is not over; 0: never. */
  seconds: number;
  startIteration: number;
  maxIterations: number;
  /** Takes the state after `iteration` steps for `<name>.pth`, which may be written later; returns its path. */
  save(name: string, iteration: number): Promise<string>;
  /** Throws if what was taken could not be written. */
  check(): void;
  /** Waits until all is written. */
  settle(): Promise<void>;
}

export class CheckpointHook implements Hook {
  #savedAt = performance.now();
  #latest: { readonly path: string; readonly iteration: number } | null = null;

  constructor(private readonly options: CheckpointOptions) {}

  async afterSchedule({ iteration }: StepReport): Promise<void> {
    this.options.check();
    if (iteration % this.options.period === 0) await this.#save(iteration);
    else if (this.#isOverdue()) await this.#save(iteration, LATEST_CHECKPOINT);
  }

  async afterTraining(iteration: number): Promise<void> {
    const { startIteration, maxIterations } = this.options;
    if (iteration > startIteration) {
      if (iteration === maxIterations) await this.#save(iteration, FINAL_CHECKPOINT);
      // Stopped before its end: what was learned since the last checkpoint is kept.
      else await this.save(iteration);
    }
    await this.options.settle();
  }

  /** Makes sure that there is a checkpoint of the state as it is now; returns its path. */
  async save(iteration: number): Promise<string> {
    return this.savedAfter(iteration) ?? (await this.#save(iteration));
  }

  /** The file that this hook wrote after so many steps, or null. */
  savedAfter(iteration: number): string | null {
    return this.#latest?.iteration === iteration ? this.#latest.path : null;
  }

  #isOverdue(): boolean {
    const { seconds } = this.options;
    return seconds > 0 && performance.now() - this.#savedAt >= 1000 * seconds;
  }

  async #save(iteration: number, name = checkpointName(iteration)): Promise<string> {
    const path = await this.options.save(name, iteration);
    this.#latest = { path, iteration };
    this.#savedAt = performance.now();
    return path;
  }
}
