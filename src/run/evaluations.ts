/** @file All evaluations of a run: one line each in OUTPUT_DIR/evaluations.jsonl. */
import { join, relative } from 'node:path';
import { type ResultsJson, resultsJson } from '../evaluation/results.js';
import type { EvaluationReport } from '../evaluation/types.js';
import { appendLine } from '../files/line_file.js';
import {
  isObject,
  type Json,
  numberOrNull,
  parseJsonLines,
  readText,
  stringOr,
} from '../formats/json_lines.js';

export const EVALUATIONS = 'evaluations.jsonl';

/** What an evaluation found for a class. */
export interface ClassAp {
  readonly id: number;
  readonly name: string;
  readonly ap: number | null;
  readonly groundTruth: number;
}

/** A line of evaluations.jsonl as it is read: whatever is missing or of another type is null or empty. */
export interface Evaluation {
  readonly iteration: number;
  readonly mAP: number | null;
  readonly perClass: readonly ClassAp[];
  readonly clips: number | null;
  readonly seconds: number | null;
  /** Below the folder of the run. */
  readonly folder: string;
}

/** A line of evaluations.jsonl as it is written. */
export interface EvaluationLine extends ResultsJson {
  iteration: number;
  clips: number;
  seconds: number;
  /** Whether it was the best so far. */
  best: boolean;
  /** The folder of its files, relative to OUTPUT_DIR. */
  folder: string;
}

/** The folder of an evaluation: after so many iterations of a run, or under a name. */
export function evaluationFolder(outputDir: string, which: number | string): string {
  const name = typeof which === 'number' ? `iteration_${String(which).padStart(7, '0')}` : which;
  return join(outputDir, 'evaluation', name);
}

export function recordEvaluation(outputDir: string, report: EvaluationReport): void {
  const line: EvaluationLine = {
    iteration: report.iteration,
    ...resultsJson(report.results),
    clips: report.clips.length,
    seconds: report.seconds,
    best: report.best,
    folder: relative(outputDir, report.folder),
  };
  appendLine(join(outputDir, EVALUATIONS), JSON.stringify(line));
}

/** The evaluations of a run, by rising iteration; lines that cannot be read are passed over. */
export function readEvaluations(outputDir: string): Evaluation[] {
  return parseEvaluations(parseJsonLines(readText(join(outputDir, EVALUATIONS)) ?? '').objects);
}

/** By rising iteration; of several evaluations of one iteration the last counts. */
export function parseEvaluations(lines: readonly Json[]): Evaluation[] {
  const byIteration = new Map<number, Evaluation>();
  for (const line of lines) {
    const iteration = numberOrNull(line.iteration);
    if (iteration === null) continue;
    byIteration.set(iteration, {
      iteration,
      mAP: numberOrNull(line.mAP),
      perClass: (Array.isArray(line.per_class) ? line.per_class : []).flatMap(parseClass),
      clips: numberOrNull(line.clips),
      seconds: numberOrNull(line.seconds),
      folder: stringOr(line.folder, ''),
    });
  }
  return [...byIteration.values()].sort((a, b) => a.iteration - b.iteration);
}

function parseClass(value: unknown): ClassAp[] {
  if (!isObject(value)) return [];
  const id = numberOrNull(value.id);
  if (id === null) return [];
  return [
    {
      id,
      name: stringOr(value.name, `class ${id}`),
      ap: numberOrNull(value.ap),
      groundTruth: numberOrNull(value.num_ground_truth) ?? 0,
    },
  ];
}

/** The mAP of the evaluation after an iteration; null where there is none. */
export function meanPrecisionAt(outputDir: string, iteration: number): number | null {
  return readEvaluations(outputDir).find((line) => line.iteration === iteration)?.mAP ?? null;
}

/** The best mAP up to an iteration, or null. */
export function bestSoFar(outputDir: string, iteration: number): number | null {
  const values = readEvaluations(outputDir).flatMap((line) =>
    line.iteration <= iteration && line.mAP !== null ? [line.mAP] : [],
  );
  return values.length ? Math.max(...values) : null;
}
