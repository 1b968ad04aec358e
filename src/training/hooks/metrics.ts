/** @file Logs losses, rates, times and memory every few iterations, and writes them to metrics.jsonl. */
import type { EngineMemory } from '../../engine/index.js';
import { LineFile } from '../../files/line_file.js';
import type { LineLog } from '../../run/logger.js';
import { LOG_PERIOD } from '../../run/read_run.js';
import { duration, gib, significant } from '../../util/text.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';
import { skippedFields } from '../nonfinite/nonfinite_guard.js';

export interface MetricsOptions {
  /** Path of the file that gets one JSON object per logged iteration. */
  readonly file: string;
  /** Reads the memory that the process and the engine use. */
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

/** Logs the first and the last iteration too, and every skipped one. */
export class MetricsHook implements Hook {
  #sinceLine: { loss: number; seconds: number; dataSeconds: number }[] = [];
  readonly #lines: LineFile;

  constructor(
    private readonly options: MetricsOptions,
    log: LineLog,
  ) {
    this.#lines = new LineFile(options.file, (message) => log.warn(message));
  }

  afterStep({ cfg, startIteration, maxIterations, log }: TrainingRun, report: StepReport): void {
    const { iteration } = report;
    this.#sinceLine.push({ loss: report.total, seconds: report.seconds, dataSeconds: report.dataSeconds });
    const isEdge = iteration === startIteration + 1 || iteration === maxIterations;
    if (iteration % LOG_PERIOD !== 0 && !isEdge && !report.skipped) return;

    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const losses = this.#sinceLine.flatMap(({ loss }) => (Number.isFinite(loss) ? [loss] : []));
    const line: MetricsLine = {
      iteration,
      epoch: Math.ceil(iteration / cfg.SOLVER.ITER_PER_EPOCH),
      loss: finiteOrNull(report.total),
      loss_average: finiteOrNull(mean(losses)),
      losses: Object.fromEntries(Array.from(report.terms, ([name, term]) => [name, finiteOrNull(term)])),
      grad_norm: finiteOrNull(report.gradNorm),
      lr: [...report.lr],
      seconds: mean(this.#sinceLine.map(({ seconds }) => seconds)),
      data_seconds: mean(this.#sinceLine.map(({ dataSeconds }) => dataSeconds)),
      eta_seconds: report.etaSeconds,
      memory_bytes: this.options.memory().rssBytes,
      ...(report.skipped ? { skipped: skippedFields(report.skipped) } : {}),
    };
    this.#sinceLine = [];
    this.#lines.append(JSON.stringify(line));
    log.info(line, sentence(line, maxIterations));
  }
}

function sentence(line: MetricsLine, maxIterations: number): string {
  const lr = [...new Set(line.lr)].map((value) => significant(value, 4)).join(' ');
  const losses = Object.entries(line.losses)
    .map(([name, value]) => `${name} ${number(value, 4)}`)
    .join('  ');
  return [
    `iter ${line.iteration}/${maxIterations}`,
    `loss ${number(line.loss, 5)} (${number(line.loss_average, 5)})`,
    losses,
    `grad norm ${number(line.grad_norm, 4)}`,
    `lr ${lr}`,
    `time ${significant(line.seconds, 3)} s`,
    `data ${significant(line.data_seconds, 2)} s`,
    `mem ${gib(line.memory_bytes)}`,
    `eta ${duration(line.eta_seconds)}`,
  ].join('  ');
}

/** JSON has no number for what is not finite. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function number(value: number | null, digits: number): string {
  return value === null ? '–' : significant(value, digits);
}
