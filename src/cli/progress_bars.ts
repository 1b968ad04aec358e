/** @file Progress bars below the log of a run, on a terminal. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { Console } from '../run/log.js';
import type { Hook, StepReport, TrainingRun } from '../training/hook.js';
import type { EvaluationBar } from '../training/run_evaluation.js';
import { roughDuration, significant } from '../util/text.js';
import { BAR_OPTIONS } from './progress.js';

const TRAINING = '{bar} {percentage}%  {value}/{total}  loss {loss}  eta {remaining}';
const EVALUATION = '{bar} {percentage}%  {value}/{total} clips  {rate} clips/s  eta {remaining}';

/**
 * A terminal with progress bars at the bottom. Lines written through it appear above the bars. As a hook of a
 * training it shows the progress of the steps.
 */
export class ProgressBars implements Console, Hook {
  #bars: MultiBar | undefined;
  #training: SingleBar | undefined;
  #shown = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  write(text: string): void {
    if (!this.#bars) {
      this.stream.write(text);
      return;
    }
    this.#bars.log(text);
    this.#bars.update();
  }

  afterStep({ maxIterations }: TrainingRun, report: StepReport): void {
    this.#training ??= this.#add(TRAINING, maxIterations, report.iteration);
    this.#training.update(report.iteration, {
      loss: report.skipped ? '–' : significant(report.total, 4),
      remaining: roughDuration(report.etaSeconds),
    });
  }

  close(): void {
    if (this.#training) this.#remove(this.#training);
    this.#training = undefined;
  }

  /** Shows a bar for `total` clips until the bar is closed. */
  evaluation(total: number): EvaluationBar {
    const bar = this.#add(EVALUATION, total, 0);
    return {
      update: (clips, seconds) =>
        bar.update(clips, {
          rate: significant(clips / seconds, 3),
          remaining: roughDuration(((total - clips) * seconds) / clips),
        }),
      close: () => this.#remove(bar),
    };
  }

  #add(format: string, total: number, value: number): SingleBar {
    this.#bars ??= new MultiBar({ ...BAR_OPTIONS, stream: this.stream }, Presets.shades_classic);
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
