/** @file Logs losses, rates, times and memory every few iterations, and writes them to metrics.jsonl. */
import { join } from 'node:path';
import type { EngineMemory } from '../../engine/index.js';
import { LineFile } from '../../files/line_file.js';
import type { Logger } from '../../run/log.js';
import { type MetricsLine, metricsJson } from '../../run/metrics.js';
import { METRICS } from '../../run/run_folder.js';
import { duration, gib, significant } from '../../util/text.js';
import type { Hook, StepReport } from '../loop.js';
import { skippedFields } from '../nonfinite/nonfinite_guard.js';

/** Iterations between two lines, as in the PyTorch original. */
export const LOG_PERIOD = 10;

/** Steps over which the time of an iteration is averaged for the ETA. */
const ETA_WINDOW = 50;

export interface MetricsOptions {
  outputDir: string;
  log: Logger;
  iterPerEpoch: number;
  maxIterations: number;
  /** The last iteration of the run is logged too, and so is the first. */
  startIteration: number;
  memory(): EngineMemory;
}

export class MetricsHook implements Hook {
  readonly #recent: number[] = [];
  #sinceLine: { loss: number; seconds: number; dataSeconds: number }[] = [];

  /** The loss of the first and of the latest step of this run. */
  firstLoss = Number.NaN;
  lastLoss = Number.NaN;

  readonly #lines: LineFile;

  constructor(private readonly options: MetricsOptions) {
    this.#lines = new LineFile(join(options.outputDir, METRICS), (message) => options.log.warn(message));
  }

  afterStep(report: StepReport): void {
    const { iteration } = report;
    const { startIteration, maxIterations, iterPerEpoch, log } = this.options;
    if (!report.skipped) {
      if (Number.isNaN(this.firstLoss)) this.firstLoss = report.total;
      this.lastLoss = report.total;
    }
    // The first step pays for everything that is made once.
    if (iteration > startIteration + 1) this.#recent.push(report.seconds);
    if (this.#recent.length > ETA_WINDOW) this.#recent.shift();
    this.#sinceLine.push({ loss: report.total, seconds: report.seconds, dataSeconds: report.dataSeconds });
    const isEdge = iteration === startIteration + 1 || iteration === maxIterations;
    if (iteration % LOG_PERIOD !== 0 && !isEdge && !report.skipped) return;

    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const losses = this.#sinceLine.flatMap(({ loss }) => (Number.isFinite(loss) ? [loss] : []));
    const line: MetricsLine = {
      iteration,
      epoch: Math.ceil(iteration / iterPerEpoch),
      loss: finiteOrNull(report.total),
      lossAverage: finiteOrNull(mean(losses)),
      losses: new Map(Array.from(report.terms, ([name, term]) => [name, finiteOrNull(term)])),
      gradNorm: finiteOrNull(report.gradNorm),
      lr: report.lr,
      seconds: mean(this.#sinceLine.map(({ seconds }) => seconds)),
      dataSeconds: mean(this.#sinceLine.map(({ dataSeconds }) => dataSeconds)),
      etaSeconds: this.etaSeconds(report),
      memoryBytes: this.options.memory().rssBytes,
      skipped: report.skipped ? skippedFields(report.skipped) : null,
    };
    this.#sinceLine = [];
    const json = metricsJson(line);
    this.#lines.append(JSON.stringify(json));
    log.info(json, this.#sentence(line));
  }

  /** Estimated seconds to the end of the run. */
  etaSeconds({ iteration, seconds }: StepReport): number {
    const { length } = this.#recent;
    const perStep = length ? this.#recent.reduce((sum, value) => sum + value, 0) / length : seconds;
    return perStep * (this.options.maxIterations - iteration);
  }

  #sentence(line: MetricsLine): string {
    const rates = [...new Set(line.lr)].map((rate) => significant(rate, 4)).join(' ');
    const losses = Array.from(line.losses, ([name, value]) => `${name} ${number(value, 4)}`).join('  ');
    return [
      `iter ${line.iteration}/${this.options.maxIterations}`,
      `loss ${number(line.loss, 5)} (${number(line.lossAverage, 5)})`,
      losses,
      `grad norm ${number(line.gradNorm, 4)}`,
      `lr ${rates}`,
      `time ${number(line.seconds, 3)} s`,
      `data ${number(line.dataSeconds, 2)} s`,
      `mem ${gib(line.memoryBytes ?? 0)}`,
      `eta ${duration(line.etaSeconds ?? 0)}`,
    ].join('  ');
  }
}

/** JSON has no number for what is not finite. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function number(value: number | null, digits: number): string {
  return value === null ? '–' : significant(value, digits);
}
