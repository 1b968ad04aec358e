/** @file Shows the current part of long work on standard error. */
import { clearLine, cursorTo } from 'node:readline';
import type { ProgressReporter } from '../util/log.js';
import { Progress } from './progress.js';

/** Shows the current part of the work on standard error, if that is a terminal. */
export class PartStatus implements ProgressReporter {
  #what = '';
  #bar: Progress | null = null;

  /** `unit` names what is counted, e.g. `frames`. */
  constructor(private readonly unit: string) {}

  progress(done: number, total: number | null, what: string): void {
    if (!process.stderr.isTTY) return;
    if (what !== this.#what) this.#begin(total, what);
    this.#bar?.update(done);
  }

  close(): void {
    if (this.#what === '') return;
    this.#bar?.close();
    this.#bar = null;
    this.#what = '';
    clearLine(process.stderr, 0);
    cursorTo(process.stderr, 0);
  }

  #begin(total: number | null, what: string): void {
    this.close();
    this.#what = what;
    if (total === null) process.stderr.write(`${what} …`);
    else this.#bar = new Progress(total, `${this.unit}  ${what}`, process.stderr);
  }
}
