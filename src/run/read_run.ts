/** @file What a run has left in its folder: metrics, evaluations, configuration, environment, warnings. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, loadConfig } from '../config/index.js';
import { DataError, UserError } from '../errors.js';
import {
  isObject,
  type Json,
  type JsonLines,
  numberOrNull,
  numbersOf,
  parseJsonLines,
  parseObject,
  readText,
} from '../formats/json_lines.js';
import { EVALUATIONS, type Evaluation, parseEvaluations } from './evaluations.js';

/** Iterations between two lines of metrics.jsonl, as in the PyTorch original. */
export const LOG_PERIOD = 10;

/** A line of metrics.jsonl; null where a field is missing or was not finite. */
export interface MetricsPoint {
  readonly iteration: number;
  readonly loss: number | null;
  readonly lossAverage: number | null;
  readonly losses: ReadonlyMap<string, number | null>;
  readonly lr: readonly number[];
  readonly seconds: number | null;
  readonly dataSeconds: number | null;
  readonly etaSeconds: number | null;
  readonly memoryBytes: number | null;
}

export interface RunConfig {
  readonly text: string;
  /** Null where this version cannot read the file; `problem` says why. */
  readonly config: Config | null;
  readonly problem: string | null;
}

/** A warning or an error from log.jsonl. */
export interface LogMessage {
  readonly time: number | null;
  readonly text: string;
}

export interface Run {
  readonly folder: string;
  /** By rising iteration, each iteration once. */
  readonly metrics: readonly MetricsPoint[];
  readonly evaluations: readonly Evaluation[];
  readonly config: RunConfig | null;
  readonly environment: Json | null;
  /** The engine as the log names it, for runs without environment.json. */
  readonly engine: string | null;
  readonly messages: readonly LogMessage[];
  /** When the newest of the files changed, in milliseconds. */
  readonly changed: number;
  /** What could not be read, one sentence each. */
  readonly notes: readonly string[];
}

export const METRICS = 'metrics.jsonl';
export const CONFIG = 'config.yaml';
export const ENVIRONMENT = 'environment.json';
export const LOG = 'log.jsonl';
const RUN_FILES = [METRICS, EVALUATIONS, CONFIG, ENVIRONMENT, LOG];

/** Of warnings and errors the latest are shown. */
const MAX_MESSAGES = 20;

/** Reads everything there is. Throws DataError where there is no such folder. */
export function readRun(folder: string): Run {
  checkFolder(folder);
  const notes: string[] = [];
  const read = (name: string) => readText(join(folder, name));
  const readLines = (name: string): JsonLines => {
    const lines = parseJsonLines(read(name) ?? '');
    const { broken } = lines;
    if (broken.length > 0) {
      const many = broken.length > 1;
      notes.push(
        `${name}: ${broken.length} ${many ? 'lines are' : 'line is'} not readable and left out ` +
          `(${many ? 'first: ' : ''}line ${broken[0]}).`,
      );
    }
    return lines;
  };

  const metrics = mergeMetrics(readLines(METRICS).objects);
  const last = metrics.at(-1)?.iteration ?? Number.POSITIVE_INFINITY;
  const environmentText = read(ENVIRONMENT);
  const environment = environmentText === null ? null : parseObject(environmentText);
  if (environmentText !== null && environment === null) notes.push(`${ENVIRONMENT} is not readable.`);
  return {
    folder,
    metrics,
    // Between two lines of metrics an evaluation may be ahead of them; farther ahead it is of an earlier run.
    evaluations: parseEvaluations(readLines(EVALUATIONS).objects).filter(
      ({ iteration }) => iteration < last + LOG_PERIOD,
    ),
    config: readConfig(folder),
    environment,
    ...readLog(read(LOG) ?? ''),
    changed: Math.max(0, ...runFileStates(folder).map(({ changed }) => changed)),
    notes,
  };
}

/** Throws DataError unless the folder has a file of a run. */
export function checkIsRun(folder: string): void {
  checkFolder(folder);
  if (runFileStates(folder).length > 0) return;
  throw new DataError(
    `${folder}: there is no run in this folder: none of ${RUN_FILES.join(', ')} is there ` +
      '(it must be the OUTPUT_DIR of a training)',
  );
}

export function checkFolder(folder: string): void {
  const state = statSync(folder, { throwIfNoEntry: false });
  if (!state) throw new DataError(`${folder}: there is no such folder`);
  if (!state.isDirectory()) throw new DataError(`${folder}: this is not a folder`);
}

/** A text that changes whenever a file of the run does. */
export function runSignature(folder: string): string {
  return runFileStates(folder)
    .map(({ name, changed, size, inode }) => `${name} ${changed} ${size} ${inode}`)
    .join('\n');
}

function runFileStates(folder: string) {
  return RUN_FILES.flatMap((name) => {
    const state = statSync(join(folder, name), { throwIfNoEntry: false });
    return state ? [{ name, changed: state.mtimeMs, size: state.size, inode: state.ino }] : [];
  });
}

/**
 * The lines as one run. Where iterations go back, the run was resumed or started anew: what was logged from there on
 * belongs to weights that are gone, and later lines win.
 */
export function mergeMetrics(lines: readonly Json[]): MetricsPoint[] {
  const points: MetricsPoint[] = [];
  for (const line of lines) {
    const iteration = numberOrNull(line.iteration);
    if (iteration === null) continue;
    while (points.length > 0 && points[points.length - 1].iteration >= iteration) points.pop();
    const losses = isObject(line.losses) ? line.losses : {};
    points.push({
      iteration,
      loss: numberOrNull(line.loss),
      lossAverage: numberOrNull(line.loss_average),
      losses: new Map(Object.entries(losses).map(([name, value]) => [name, numberOrNull(value)])),
      lr: numbersOf(line.lr),
      seconds: numberOrNull(line.seconds),
      dataSeconds: numberOrNull(line.data_seconds),
      etaSeconds: numberOrNull(line.eta_seconds),
      memoryBytes: numberOrNull(line.memory_bytes),
    });
  }
  return points;
}

function readConfig(folder: string): RunConfig | null {
  const file = join(folder, CONFIG);
  const text = readText(file);
  if (text === null) return null;
  try {
    return { text, config: loadConfig(file).config, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { text, config: null, problem: error.message };
  }
}

const PINO_WARN = 40;

function readLog(text: string): Pick<Run, 'engine' | 'messages'> {
  let engine: string | null = null;
  const messages: LogMessage[] = [];
  for (const line of text.split('\n')) {
    // Most lines are metrics: only the others are worth parsing.
    if (!/^\{"level":[456]|"engine":\{|the run ended with an error/.test(line)) continue;
    const entry = parseObject(line);
    if (!entry) continue;
    if (isObject(entry.engine) && typeof entry.engine.description === 'string') {
      engine = entry.engine.description;
      continue;
    }
    const error = isObject(entry.err) && typeof entry.err.message === 'string' ? entry.err.message : null;
    if (error === null && (numberOrNull(entry.level) ?? 0) < PINO_WARN) continue;
    messages.push({
      time: numberOrNull(entry.time),
      text: error === null ? String(entry.msg ?? '') : `The run ended with an error: ${error}`,
    });
  }
  return { engine, messages: messages.slice(-MAX_MESSAGES) };
}
