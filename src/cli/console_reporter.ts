/** @file A reporter that writes to standard output: lines, with a progress bar below them on a terminal. */
import type { Reporter } from '../util/log.js';
import { Progress } from './progress.js';

export class ConsoleReporter implements Reporter {
  #progress: Progress | null = null;
  #what = '';

  info(message: string): void {
    if (this.#progress) this.#progress.log(message);
    else process.stdout.write(`${message}\n`);
  }

  warn(message: string): void {
    this.info(`warning: ${message}`);
  }

  progress(done: number, total: number | null, what: string): void {
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
