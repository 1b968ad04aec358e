/** @file The evaluations of a run: evaluations.jsonl, and the curves and detections in the folder of each. */
import { isAbsolute, join, relative, resolve } from 'node:path';
import {
  isObject,
  type Json,
  numberOrNull,
  numbersOf,
  parseObject,
  readText,
  stringOr,
} from './json_lines.js';

/** What an evaluation found for a class. */
export interface ClassAp {
  readonly id: number;
  readonly name: string;
  readonly ap: number | null;
  readonly groundTruth: number;
}

/** A line of evaluations.jsonl. */
export interface Evaluation {
  readonly iteration: number;
  readonly mAP: number | null;
  readonly perClass: readonly ClassAp[];
  readonly clips: number | null;
  readonly seconds: number | null;
  /** Below the folder of the run. */
  readonly folder: string;
}

/** A precision-recall curve. */
export interface PrecisionRecall {
  readonly id: number;
  readonly name: string;
  readonly precision: readonly number[];
  readonly recall: readonly number[];
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

/** The evaluation with the highest mAP, the earliest of equals. */
export function bestEvaluation(evaluations: readonly Evaluation[]): Evaluation | null {
  let best: Evaluation | null = null;
  for (const evaluation of evaluations) {
    if (evaluation.mAP !== null && evaluation.mAP > (best?.mAP ?? -1)) best = evaluation;
  }
  return best;
}

/** A file of an evaluation, or null where its folder is not below the run's: a report must not show other files. */
export function evaluationFile(runFolder: string, { folder }: Evaluation, name: string): string | null {
  const path = relative(resolve(runFolder), resolve(runFolder, folder));
  if (folder === '' || path.startsWith('..') || isAbsolute(path)) return null;
  return join(runFolder, path, name);
}

/** The curves in precision_recall.json; none where it is missing. */
export function readPrecisionRecall(runFolder: string, evaluation: Evaluation): PrecisionRecall[] {
  const file = evaluationFile(runFolder, evaluation, 'precision_recall.json');
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
