/** @file metrics.jsonl: losses, times and memory of a run, one line for each iteration. */
import { isObject, type Json, numberOrNull, numbersOf } from '../util/json.js';

/** One line. Numbers are null if they were not finite or, in a line that was read, are missing. */
export interface MetricsLine {
  readonly iteration: number;
  readonly epoch: number | null;
  /** The minimised mean of the loss terms in this iteration. */
  readonly loss: number | null;
  /** The mean of the loss over the latest iterations, SOLVER.LOG_PERIOD of them. */
  readonly lossAverage: number | null;
  readonly losses: ReadonlyMap<string, number | null>;
  /** L2 norm of all gradients together, before clipping. */
  readonly gradNorm: number | null;
  /** The learning rate of each parameter group. */
  readonly lr: readonly number[];
  /** Seconds per iteration; in the log, averaged since the last line. */
  readonly seconds: number | null;
  /** Seconds of it spent waiting for data. */
  readonly dataSeconds: number | null;
  /** Estimated seconds to the end of the run; null while they are not known. */
  readonly etaSeconds: number | null;
  /** Resident memory of the process. */
  readonly memoryBytes: number | null;
  /** Why the iteration changed no weight; null if it did. */
  readonly skipped: Json | null;
}

/** A line as it is written to metrics.jsonl and, with a message, to log.jsonl. */
export function metricsJson(line: MetricsLine): Json {
  return {
    iteration: line.iteration,
    epoch: line.epoch,
    loss: line.loss,
    loss_average: line.lossAverage,
    losses: Object.fromEntries(line.losses),
    grad_norm: line.gradNorm,
    lr: line.lr,
    seconds: line.seconds,
    data_seconds: line.dataSeconds,
    eta_seconds: line.etaSeconds,
    memory_bytes: line.memoryBytes,
    ...(line.skipped && { skipped: line.skipped }),
  };
}

/** A line of any version. Null without an iteration. */
export function parseMetrics(json: Json): MetricsLine | null {
  const iteration = numberOrNull(json.iteration);
  if (iteration === null) return null;
  const losses = isObject(json.losses) ? json.losses : {};
  return {
    iteration,
    epoch: numberOrNull(json.epoch),
    loss: numberOrNull(json.loss),
    lossAverage: numberOrNull(json.loss_average),
    losses: new Map(Object.entries(losses).map(([name, value]) => [name, numberOrNull(value)])),
    gradNorm: numberOrNull(json.grad_norm),
    lr: numbersOf(json.lr),
    seconds: numberOrNull(json.seconds),
    dataSeconds: numberOrNull(json.data_seconds),
    etaSeconds: numberOrNull(json.eta_seconds),
    memoryBytes: numberOrNull(json.memory_bytes),
    skipped: isObject(json.skipped) ? json.skipped : null,
  };
}

/**
 * The lines as one run. Iterations go back if the run was resumed or started anew. What was logged from there on belongs to
 * weights that are gone, so later lines win.
 */
export function mergeMetrics(objects: readonly Json[]): MetricsLine[] {
  const lines: MetricsLine[] = [];
  for (const object of objects) {
    const line = parseMetrics(object);
    if (!line) continue;
    while (lines.length > 0 && lines[lines.length - 1].iteration >= line.iteration) lines.pop();
    lines.push(line);
  }
  return lines;
}
