/** @file Detections in a csv file against ground truth in another. */
import { readLabelMap } from '../data/label_map.js';
import { readDetections, readExclusions, readGroundTruth } from './ava_csv.js';
import { AvaEvaluator } from './ava_evaluator.js';
import type { AvaResults } from './types.js';

export interface EvaluationFiles {
  /** AVA's csv files of boxes and actions. */
  readonly groundTruth: readonly string[];
  readonly labelMap: string;
  /** Key frames that do not count. */
  readonly exclude?: string;
}

/** An evaluator of the classes of the label map. Throws DataError with file and line. */
export function openEvaluator({ groundTruth, labelMap, exclude }: EvaluationFiles): AvaEvaluator {
  const labels = readLabelMap(labelMap);
  const classes = new Set(labels.map(({ id }) => id));
  const excluded = exclude === undefined ? undefined : readExclusions(exclude);
  return new AvaEvaluator(labels, readGroundTruth(groundTruth, classes), excluded);
}

/** Evaluates a csv file of detections (video, second, x1, y1, x2, y2, action id, score). */
export function evaluateFiles(files: EvaluationFiles, predictions: string): AvaResults {
  const evaluator = openEvaluator(files);
  const classes = new Set(evaluator.labels.map(({ id }) => id));
  for (const [key, image] of readDetections(predictions, classes)) evaluator.add(key, image);
  return evaluator.results();
}
