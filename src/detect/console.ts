/** @file What `stmixer detect` says while it works: a bar on a terminal, lines elsewhere. */
import { Progress } from '../util/progress.js';
import { duration } from '../util/text.js';
import type { DetectReporter, DetectSummary } from './detect.js';

export class DetectConsole implements DetectReporter {
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
    if (what !== this.#what) {
      this.close();
      this.#progress = new Progress(total, what);
      this.#what = what;
    }
    this.#progress!.update(done);
  }

  done({ keyFrames, people, seconds, stopped }: DetectSummary, out: string): void {
    this.close();
    if (stopped && keyFrames === 0) {
      this.nothing();
      return;
    }
    const rate = seconds > 0 ? ` (${(keyFrames / seconds).toFixed(2)} clips per second)` : '';
    this.info(
      `${stopped ? 'stopped' : 'done'}: ${people} ${people === 1 ? 'person' : 'people'} at ${keyFrames} key ` +
        `${keyFrames === 1 ? 'frame' : 'frames'} in ${duration(seconds)}${rate}; see ${out}`,
    );
  }

  /** Says that a signal came before there was a result. */
  nothing(): void {
    this.close();
    this.info('stopped before the first key frame: nothing is written');
  }

  /** Takes the bar away. */
  close(): void {
    this.#progress?.close();
    this.#progress = null;
  }
}
