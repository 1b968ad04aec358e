/** @file Reads everything that a run has left in OUTPUT_DIR, whole or damaged. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.js';
import { absenceOf } from '../util/addresses.js';
import { type Json, type JsonLines, parseJsonLines, parseObject } from '../util/json.js';
import { readText } from '../util/read_text.js';
import { type RunConfig, readRunConfig } from './config.js';
import { type Evaluation, parseEvaluations } from './evaluations.js';
import { type LogSummary, summarizeLog } from './log.js';
import { type MetricsLine, mergeMetrics } from './metrics.js';
import { readMetricsFile } from './metrics_file.js';
import { CONFIG, ENVIRONMENT, EVALUATIONS, LOG, METRICS } from './run_folder.js';

export interface Run extends LogSummary {
  readonly folder: string;
  /** By rising iteration, each iteration at most once; those of a long run are thinned out. */
  readonly metrics: readonly MetricsLine[];
  readonly evaluations: readonly Evaluation[];
  readonly config: RunConfig | null;
  readonly environment: Json | null;
  /** When the newest of the files changed, in milliseconds. */
  readonly changed: number;
  /** One sentence for each file that could not be read in full. */
  readonly notes: readonly string[];
}

/** Files that the report is made of. */
const SOURCES = [METRICS, EVALUATIONS, CONFIG, ENVIRONMENT, LOG];

/**
 * An evaluation may be this many iterations ahead of the metrics, because older versions wrote a line every ten iterations.
 * One that is further ahead belongs to an earlier run.
 */
const MAX_LEAD = 10;

/** Reads a run. Files may be missing or damaged. Throws DataError if there is no such folder. */
export function readRun(folder: string): Run {
  checkFolder(folder);
  const notes: string[] = [];
  const read = (name: string) => readText(join(folder, name));
  const objectsOf = (name: string, { objects, broken }: JsonLines) => {
    if (broken.length > 0) notes.push(brokenLines(name, broken));
    return objects;
  };
  const metrics = mergeMetrics(objectsOf(METRICS, readMetricsFile(join(folder, METRICS))));
  const last = metrics.at(-1)?.iteration ?? Number.POSITIVE_INFINITY;
  const environmentText = read(ENVIRONMENT);
  const environment = environmentText === null ? null : parseObject(environmentText);
  if (environmentText !== null && environment === null) notes.push(`${ENVIRONMENT} is not readable.`);
  return {
    folder,
    metrics,
    evaluations: parseEvaluations(objectsOf(EVALUATIONS, parseJsonLines(read(EVALUATIONS) ?? ''))).filter(
      ({ iteration }) => iteration < last + MAX_LEAD,
    ),
    config: readRunConfig(folder),
    environment,
    ...summarizeLog(read(LOG) ?? ''),
    changed: Math.max(0, ...sourceStates(folder).map(({ changed }) => changed)),
    notes,
  };
}

function brokenLines(name: string, lines: readonly number[]): string {
  return lines.length === 1
    ? `${name}: 1 line is not readable and left out (line ${lines[0]}).`
    : `${name}: ${lines.length} lines are not readable and left out (first: line ${lines[0]}).`;
}

/** Throws DataError unless the folder has a file of a run. */
export function checkIsRun(folder: string): void {
  checkFolder(folder);
  if (sourceStates(folder).length > 0) return;
  throw new DataError(
    `${folder}: there is no run in this folder: none of ${SOURCES.join(', ')} is there ` +
      '(it must be the OUTPUT_DIR of a training)',
  );
}

export function checkFolder(folder: string): void {
  const state = statSync(folder, { throwIfNoEntry: false });
  if (!state) throw new DataError(`${folder}: ${absenceOf(folder, 'folder', 'there is no such folder')}`);
  if (!state.isDirectory()) throw new DataError(`${folder}: this is not a folder`);
}

/** A text that changes whenever a file of the run does. */
export function runSignature(folder: string): string {
  return sourceStates(folder)
    .map(({ name, changed, size, inode }) => `${name} ${changed} ${size} ${inode}`)
    .join('\n');
}

function sourceStates(folder: string) {
  return SOURCES.flatMap((name) => {
    const state = statSync(join(folder, name), { throwIfNoEntry: false });
    return state ? [{ name, changed: state.mtimeMs, size: state.size, inode: state.ino }] : [];
  });
}
