/** @file evaluations.jsonl: the evaluations of a run, one line each, and the files in the folder of each. */
import { isAbsolute, join, relative, resolve } from 'node:path';
import { PRECISION_RECALL, type ResultsJson, resultsJson } from '../evaluation/results.js';
import type { EvaluationReport } from '../evaluation/types.js';
import { appendLine } from '../files/line_file.js';
import {
  isObject,
  type Json,
  numberOrNull,
  numbersOf,
  parseJsonLines,
  parseObject,
  stringOr,
} from '../util/json.js';
import { readText } from '../util/read_text.js';
import { EVALUATIONS } from './run_folder.js';

/** The average precision of a class. */
export interface ClassAp {
  readonly id: number;
  readonly name: string;
  readonly ap: number | null;
  readonly groundTruth: number;
}

/** A line as it is read. Fields that are missing or of another type are null or empty. */
export interface Evaluation {
  readonly iteration: number;
  readonly mAP: number | null;
  readonly perClass: readonly ClassAp[];
  readonly clips: number | null;
  readonly seconds: number | null;
  /** The folder of its files, relative to OUTPUT_DIR. */
  readonly folder: string;
}

/** A line as it is written. */
export interface EvaluationLine extends ResultsJson {
  iteration: number;
  clips: number;
  seconds: number;
  /** Whether it was the best so far. */
  best: boolean;
  /** The folder of its files, relative to OUTPUT_DIR. */
  folder: string;
}

/** Appends an evaluation to the file. */
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

/** The evaluations of a run by rising iteration. Damaged lines are left out. */
export function readEvaluations(outputDir: string): Evaluation[] {
  return parseEvaluations(parseJsonLines(readText(join(outputDir, EVALUATIONS)) ?? '').objects);
}

/** The evaluations by rising iteration. If an iteration was evaluated more than once, the last one counts. */
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

/** The mAP of the evaluation after an iteration; null without one. */
export function meanPrecisionAt(outputDir: string, iteration: number): number | null {
  return readEvaluations(outputDir).find((line) => line.iteration === iteration)?.mAP ?? null;
}

/** Seconds of the evaluation of the latest iteration; null without one. */
export function lastEvaluationSeconds(outputDir: string): number | null {
  return readEvaluations(outputDir).at(-1)?.seconds ?? null;
}

/** The best mAP up to an iteration, or null. */
export function bestSoFar(outputDir: string, iteration: number): number | null {
  const earlier = readEvaluations(outputDir).filter((line) => line.iteration <= iteration);
  return bestEvaluation(earlier)?.mAP ?? null;
}

/** The evaluation with the highest mAP, and the earliest of equals. */
export function bestEvaluation(evaluations: readonly Evaluation[]): Evaluation | null {
  let best: Evaluation | null = null;
  for (const evaluation of evaluations) {
    if (evaluation.mAP !== null && evaluation.mAP > (best?.mAP ?? -1)) best = evaluation;
  }
  return best;
}

/** A file of an evaluation. Null if its folder is not inside OUTPUT_DIR: a report must not show other files. */
export function evaluationFile(outputDir: string, { folder }: Evaluation, name: string): string | null {
  const path = relative(resolve(outputDir), resolve(outputDir, folder));
  if (folder === '' || path.startsWith('..') || isAbsolute(path)) return null;
  return join(outputDir, path, name);
}

/** A precision-recall curve of a class. */
export interface PrecisionRecall {
  readonly id: number;
  readonly name: string;
  readonly precision: readonly number[];
  readonly recall: readonly number[];
}

/** The curves of an evaluation, one per class; none if the file is missing. */
export function readPrecisionRecall(outputDir: string, evaluation: Evaluation): PrecisionRecall[] {
  const file = evaluationFile(outputDir, evaluation, PRECISION_RECALL);
  const text = file === null ? null : readText(file);
  const classes = text === null ? null : parseObject(text);
  return Object.entries(classes ?? {}).flatMap(([key, value]) => {
    const id = Number(key);
    if (!isObject(value) || !Number.isInteger(id)) return [];
    const [precision, recall] = [numbersOf(value.precision), numbersOf(value.recall)];
    const points = Math.min(precision.length, recall.length);
    if (points === 0) return [];
    return [
      {
        id,
        name: stringOr(value.name, `class ${id}`),
        precision: precision.slice(0, points),
        recall: recall.slice(0, points),
      },
    ];
  });
}
