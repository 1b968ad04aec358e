/** @file A progress bar below the log, on a terminal. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { Console } from '../logger.js';
import type { Hook, StepReport } from '../loop.js';
import { duration, significant } from '../text.js';

/** Standard output with a bar at the bottom while training runs: lines written through it appear above. */
export class ProgressBar implements Console {
  #bars: MultiBar | undefined;

  constructor(private readonly maxIterations: number) {}

  write(text: string): void {
    if (!this.#bars) {
      process.stdout.write(text);
      return;
    }
    this.#bars.log(text);
    this.#bars.update();
  }

  /** The hook that moves the bar; it takes the time that is left from the metrics. */
  following(metrics: { etaSeconds(report: StepReport): number }): Hook {
    let bar: SingleBar | undefined;
    return {
      afterStep: (report) => {
        this.#bars ??= new MultiBar(
          {
            stream: process.stdout,
            format: '{bar} {percentage}%  {value}/{total}  loss {loss}  eta {remaining}',
            hideCursor: true,
            clearOnComplete: true,
            // Else the log lines above are cut at the terminal's width too.
            linewrap: true,
            gracefulExit: false,
            barsize: 24,
          },
          Presets.shades_classic,
        );
        bar ??= this.#bars.create(this.maxIterations, report.iteration);
        bar.update(report.iteration, {
          loss: significant(report.total, 4),
          remaining: duration(metrics.etaSeconds(report)),
        });
      },
      close: () => {
        this.#bars?.stop();
        this.#bars = undefined;
      },
    };
  }
}
