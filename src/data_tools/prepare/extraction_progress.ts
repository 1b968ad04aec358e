/** @file Progress of the extraction of several videos at a time. */
import type { ProgressReporter } from '../../util/log.js';
import type { Pending } from './probe_videos.js';

/** Counts frames if the lengths of all videos are known, else videos. */
export class ExtractionProgress {
  readonly #inFrames: boolean;
  readonly #total: number;
  readonly #running = new Map<Pending, number>();
  #finished = 0;

  constructor(
    pending: readonly Pending[],
    private readonly reporter: ProgressReporter,
  ) {
    this.#inFrames = pending.every(({ expectedFrames }) => expectedFrames !== null);
    this.#total = pending.reduce((sum, one) => sum + this.#amount(one), 0);
    this.#report();
  }

  /** Sets the number of frames that a video has so far. */
  update(one: Pending, frames: number): void {
    if (this.#inFrames) this.#running.set(one, frames);
    this.#report();
  }

  finish(one: Pending): void {
    this.#running.delete(one);
    this.#finished += this.#amount(one);
    this.#report();
  }

  #report(): void {
    const done = [...this.#running.values()].reduce((sum, frames) => sum + frames, this.#finished);
    this.reporter.progress(done, this.#total, this.#inFrames ? 'frames' : 'videos');
  }

  #amount({ expectedFrames }: Pending): number {
    return this.#inFrames ? expectedFrames! : 1;
  }
}
