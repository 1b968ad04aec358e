/** @file Progress bars below the log, on a terminal. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { Console } from '../../run/log.js';
import { BAR_OPTIONS } from '../../util/progress.js';
import { duration, significant } from '../../util/text.js';
import type { Hook, StepReport } from '../loop.js';

const TRAINING = '{bar} {percentage}%  {value}/{total}  loss {loss}  eta {remaining}';
const EVALUATION = '{bar} {percentage}%  {value}/{total} clips  {rate} clips/s  eta {remaining}';

/** Progress bars if standard output is a terminal, else null. */
export function terminalBars(): ProgressBars | null {
  return process.stdout.isTTY === true ? new ProgressBars() : null;
}

/** Standard output with bars at the bottom while something runs: lines written through it appear above. */
export class ProgressBars implements Console {
  #bars: MultiBar | undefined;
  #shown = 0;

  write(text: string): void {
    if (!this.#bars) {
      process.stdout.write(text);
      return;
    }
    this.#bars.log(text);
    this.#bars.update();
  }

  /** The hook that moves the bar of a training run; it takes the time that is left from the metrics. */
  training(maxIterations: number, metrics: { etaSeconds(report: StepReport): number }): Hook {
    let bar: SingleBar | undefined;
    return {
      afterStep: (report) => {
        bar ??= this.#add(TRAINING, maxIterations, report.iteration);
        bar.update(report.iteration, {
          loss: report.skipped ? '–' : significant(report.total, 4),
          remaining: duration(metrics.etaSeconds(report)),
        });
      },
      close: () => {
        if (bar) this.#remove(bar);
        bar = undefined;
      },
    };
  }

  /** A bar for `total` clips; `close` takes it away. */
  evaluation(total: number): { update(clips: number, seconds: number): void; close(): void } {
    const bar = this.#add(EVALUATION, total, 0);
    return {
      update: (clips, seconds) =>
        bar.update(clips, {
          rate: significant(clips / seconds, 3),
          remaining: duration(((total - clips) * seconds) / clips),
        }),
      close: () => this.#remove(bar),
    };
  }

  #add(format: string, total: number, value: number): SingleBar {
    this.#bars ??= new MultiBar({ ...BAR_OPTIONS, stream: process.stdout }, Presets.shades_classic);
    this.#shown++;
    return this.#bars.create(total, value, { loss: '–', rate: '–', remaining: '–' }, { format });
  }

  #remove(bar: SingleBar): void {
    this.#bars?.remove(bar);
    if (--this.#shown > 0) return;
    this.#bars?.stop();
    this.#bars = undefined;
  }
}
