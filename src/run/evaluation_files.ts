/** @file The evaluations of a run: the best of them, and the curves and detections in the folder of each. */
import { isAbsolute, join, relative, resolve } from 'node:path';
import { isObject, numbersOf, parseObject, readText, stringOr } from '../formats/json_lines.js';
import type { Evaluation } from './evaluations.js';

/** A precision-recall curve. */
export interface PrecisionRecall {
  readonly id: number;
  readonly name: string;
  readonly precision: readonly number[];
  readonly recall: readonly number[];
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
