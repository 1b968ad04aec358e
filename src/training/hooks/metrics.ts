/** @file Logs losses, rates, times and memory every few iterations, and writes them to metrics.jsonl. */
import type { EngineMemory } from '../../engine/index.js';
import { LineFile } from '../../files/line_file.js';
import type { Logger } from '../../run/logger.js';
import { LOG_PERIOD } from '../../run/read_run.js';
import { duration, gib, significant } from '../../util/text.js';
import type { Hook, StepReport } from '../loop.js';
import { skippedFields } from '../nonfinite/nonfinite_guard.js';

/** Steps over which the time of an iteration is averaged for the ETA. */
const ETA_WINDOW = 50;

export interface MetricsOptions {
  /** One JSON object per logged iteration is appended here. */
  file: string;
  log: Logger;
  iterPerEpoch: number;
  maxIterations: number;
  /** The last iteration of the run is logged too, and so is the first. */
  startIteration: number;
  memory(): EngineMemory;
}

/** One line of metrics.jsonl. */
export interface MetricsLine {
  iteration: number;
  epoch: number;
  /** The minimised mean of the terms, of this iteration, and averaged since the last line; null where it is not finite. */
  loss: number | null;
  loss_average: number | null;
  losses: Record<string, number | null>;
  /** L2 norm of all gradients together, before clipping. */
  grad_norm: number | null;
  lr: number[];
  /** Per iteration, averaged since the last line. */
  seconds: number;
  data_seconds: number;
  eta_seconds: number;
  memory_bytes: number;
  /** Where the iteration changed nothing because its loss or gradients were not finite. */
  skipped?: ReturnType<typeof skippedFields>;
}

export class MetricsHook implements Hook {
  readonly #recent: number[] = [];
  #sinceLine: { loss: number; seconds: number; dataSeconds: number }[] = [];

  /** The loss of the first and of the latest step of this run. */
  firstLoss = Number.NaN;
  lastLoss = Number.NaN;

  readonly #lines: LineFile;

  constructor(private readonly options: MetricsOptions) {
    this.#lines = new LineFile(options.file, (message) => options.log.warn(message));
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
      loss_average: finiteOrNull(mean(losses)),
      losses: Object.fromEntries(Array.from(report.terms, ([name, term]) => [name, finiteOrNull(term)])),
      grad_norm: finiteOrNull(report.gradNorm),
      lr: report.lr,
      seconds: mean(this.#sinceLine.map(({ seconds }) => seconds)),
      data_seconds: mean(this.#sinceLine.map(({ dataSeconds }) => dataSeconds)),
      eta_seconds: this.etaSeconds(report),
      memory_bytes: this.options.memory().rssBytes,
      ...(report.skipped ? { skipped: skippedFields(report.skipped) } : {}),
    };
    this.#sinceLine = [];
    this.#lines.append(JSON.stringify(line));
    log.info(line, this.#sentence(line));
  }

  /** Estimated seconds to the end of the run. */
  etaSeconds({ iteration, seconds }: StepReport): number {
    const { length } = this.#recent;
    const perStep = length ? this.#recent.reduce((sum, value) => sum + value, 0) / length : seconds;
    return perStep * (this.options.maxIterations - iteration);
  }

  #sentence(line: MetricsLine): string {
    const rates = [...new Set(line.lr)].map((rate) => significant(rate, 4)).join(' ');
    const losses = Object.entries(line.losses)
      .map(([name, value]) => `${name} ${number(value, 4)}`)
      .join('  ');
    return [
      `iter ${line.iteration}/${this.options.maxIterations}`,
      `loss ${number(line.loss, 5)} (${number(line.loss_average, 5)})`,
      losses,
      `grad norm ${number(line.grad_norm, 4)}`,
      `lr ${rates}`,
      `time ${significant(line.seconds, 3)} s`,
      `data ${significant(line.data_seconds, 2)} s`,
      `mem ${gib(line.memory_bytes)}`,
      `eta ${duration(line.eta_seconds)}`,
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
