/** @file A reporter that writes to standard output: lines, with a progress bar below them on a terminal. */
import type { Reporter } from '../util/log.js';
import { Progress } from './progress.js';

export class ConsoleReporter implements Reporter {
  #progress: Progress | null = null;
  #what = '';

  /** `quiet` leaves out everything but warnings and results. */
  constructor(private readonly options: { readonly quiet?: boolean } = {}) {}

  info(message: string): void {
    if (!this.options.quiet) this.result(message);
  }

  warn(message: string): void {
    this.result(`warning: ${message}`);
  }

  /** Writes a line in any case. */
  result(message: string): void {
    if (this.#progress) this.#progress.log(message);
    else process.stdout.write(`${message}\n`);
  }

  progress(done: number, total: number | null, what: string): void {
    if (this.options.quiet) return;
    if (!this.#progress || what !== this.#what) {
      this.close();
      this.#progress = new Progress(total, what);
      this.#what = what;
    }
    this.#progress.update(done);
  }

  /** Removes the progress bar. */
  close(): void {
    this.#progress?.close();
    this.#progress = null;
  }
}
