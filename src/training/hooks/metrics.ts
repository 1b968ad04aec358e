/** @file Logs losses, rates, times and memory every few iterations, and writes them to metrics.jsonl. */
import type { EngineMemory } from '../../engine/index.js';
import { LineFile } from '../../files/line_file.js';
import { type MetricsLine, metricsJson } from '../../run/metrics.js';
import type { Log } from '../../util/log.js';
import { duration, gib, significant } from '../../util/text.js';
import type { Hook, StepReport, TrainingRun } from '../hook.js';
import { skippedFields } from '../nonfinite/nonfinite_guard.js';

/** Iterations between two lines, as in the PyTorch original. */
export const LOG_PERIOD = 10;

export interface MetricsOptions {
  /** Path of the file that gets one JSON object per logged iteration. */
  readonly file: string;
  /** Reads the memory that the process and the engine use. */
  memory(): EngineMemory;
}

/** Logs the first and the last iteration too, and every skipped one. */
export class MetricsHook implements Hook {
  #sinceLine: { loss: number; seconds: number; dataSeconds: number }[] = [];
  readonly #lines: LineFile;

  constructor(
    private readonly options: MetricsOptions,
    log: Log,
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
      lossAverage: finiteOrNull(mean(losses)),
      losses: new Map(Array.from(report.terms, ([name, term]) => [name, finiteOrNull(term)])),
      gradNorm: finiteOrNull(report.gradNorm),
      lr: report.lr,
      seconds: mean(this.#sinceLine.map(({ seconds }) => seconds)),
      dataSeconds: mean(this.#sinceLine.map(({ dataSeconds }) => dataSeconds)),
      etaSeconds: report.etaSeconds,
      memoryBytes: this.options.memory().rssBytes,
      skipped: report.skipped ? skippedFields(report.skipped) : null,
    };
    this.#sinceLine = [];
    const json = metricsJson(line);
    this.#lines.append(JSON.stringify(json));
    log.info(json, sentence(line, maxIterations));
  }
}

function sentence(line: MetricsLine, maxIterations: number): string {
  const lr = [...new Set(line.lr)].map((value) => significant(value, 4)).join(' ');
  const losses = Array.from(line.losses, ([name, value]) => `${name} ${number(value, 4)}`).join('  ');
  return [
    `iter ${line.iteration}/${maxIterations}`,
    `loss ${number(line.loss, 5)} (${number(line.lossAverage, 5)})`,
    losses,
    `grad norm ${number(line.gradNorm, 4)}`,
    `lr ${lr}`,
    `time ${number(line.seconds, 3)} s`,
    `data ${number(line.dataSeconds, 2)} s`,
    `mem ${gib(line.memoryBytes ?? 0)}`,
    `eta ${duration(line.etaSeconds ?? 0)}`,
  ].join('  ');
}

/** JSON has no number for what is not finite. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function number(value: number | null, digits: number): string {
  return value === null ? '–' : significant(value, digits);
}
