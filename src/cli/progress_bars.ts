/** @file Progress bars below the log, on a terminal. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { Console } from '../run/logger.js';
import type { Hook, StepReport, TrainingRun } from '../training/hook.js';
import type { EvaluationBar } from '../training/run_evaluation.js';
import { BAR_OPTIONS } from '../util/progress.js';
import { duration, significant } from '../util/text.js';

const TRAINING = '{bar} {percentage}%  {value}/{total}  loss {loss}  eta {remaining}';
const EVALUATION = '{bar} {percentage}%  {value}/{total} clips  {rate} clips/s  eta {remaining}';

/**
 * Standard output with bars at the bottom while something runs; lines written through it appear above. As a hook of a
 * training it shows the bar of the steps.
 */
export class ProgressBars implements Console, Hook {
  #bars: MultiBar | undefined;
  #training: SingleBar | undefined;
  #shown = 0;

  write(text: string): void {
    if (!this.#bars) {
      process.stdout.write(text);
      return;
    }
    this.#bars.log(text);
    this.#bars.update();
  }

  afterStep({ maxIterations }: TrainingRun, report: StepReport): void {
    this.#training ??= this.#add(TRAINING, maxIterations, report.iteration);
    this.#training.update(report.iteration, {
      loss: report.skipped ? '–' : significant(report.total, 4),
      remaining: duration(report.etaSeconds),
    });
  }

  close(): void {
    if (this.#training) this.#remove(this.#training);
    this.#training = undefined;
  }

  /** Shows a bar for `total` clips, until its `close`. */
  evaluation(total: number): EvaluationBar {
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
