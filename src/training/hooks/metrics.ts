/** @file Writes losses, rates, times and memory to metrics.jsonl, and every few iterations to the log. */
import type { EngineMemory } from '../../engine/index.js';
import { LineFile } from '../../files/line_file.js';
import { iterationSentence } from '../../run/iteration_line.js';
import { type MetricsLine, metricsJson } from '../../run/metrics.js';
import type { Log } from '../../util/log.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';
import { skippedFields } from '../nonfinite/nonfinite_guard.js';

/** Iterations at the start of a run that are all in the log, so that people see that it works. */
const FIRST_ITERATIONS = 3;

export interface MetricsOptions {
  /** Path of the file that gets one JSON object per iteration. */
  readonly file: string;
  /** Reads the memory of the process. It is called in every iteration, so it must be fast. */
  memory(): Pick<EngineMemory, 'rssBytes'>;
}

/** Losses and times of an iteration, of which the log shows the mean. */
type Measured = Pick<StepReport, 'seconds' | 'dataSeconds'>;

/** Logs the first iterations and the last one too, and every skipped one. */
export class MetricsHook implements Hook {
  /** Losses over which the average is taken; those that are not finite are left out. */
  #losses: number[] = [];
  #sinceLine: Measured[] = [];
  readonly #lines: LineFile;

  constructor(
    private readonly options: MetricsOptions,
    log: Log,
  ) {
    this.#lines = new LineFile(options.file, (message) => log.warn(message));
  }

  afterStep({ cfg, startIteration, maxIterations, log }: TrainingRun, report: StepReport): void {
    const { iteration } = report;
    const { LOG_PERIOD, ITER_PER_EPOCH } = cfg.SOLVER;
    this.#losses = [...this.#losses, report.total].slice(-LOG_PERIOD);
    this.#sinceLine.push(report);
    const line = this.#line(report, Math.ceil(iteration / ITER_PER_EPOCH));
    this.#lines.append(JSON.stringify(metricsJson(line)));

    const isEdge = iteration <= startIteration + FIRST_ITERATIONS || iteration === maxIterations;
    if (iteration % LOG_PERIOD !== 0 && !isEdge && !report.skipped) return;
    const shown = {
      ...line,
      seconds: mean(this.#sinceLine.map(({ seconds }) => seconds)),
      dataSeconds: mean(this.#sinceLine.map(({ dataSeconds }) => dataSeconds)),
    };
    this.#sinceLine = [];
    log.info(
      { ...metricsJson(shown), max_iterations: maxIterations },
      iterationSentence(shown, maxIterations),
    );
  }

  #line(report: StepReport, epoch: number): MetricsLine {
    return {
      iteration: report.iteration,
      epoch,
      loss: finiteOrNull(report.total),
      lossAverage: finiteOrNull(mean(this.#losses.filter(Number.isFinite))),
      losses: new Map(Array.from(report.terms, ([name, term]) => [name, finiteOrNull(term)])),
      gradNorm: finiteOrNull(report.gradNorm),
      lr: report.lr,
      seconds: report.seconds,
      dataSeconds: report.dataSeconds,
      etaSeconds: finiteOrNull(report.etaSeconds),
      memoryBytes: this.options.memory().rssBytes,
      skipped: report.skipped ? skippedFields(report.skipped) : null,
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** JSON has no number for what is not finite. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
