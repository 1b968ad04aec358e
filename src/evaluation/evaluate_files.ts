/** @file Detections in a csv file against ground truth in another. */
import { type ActionLabel, readLabelMap } from '../data/label_map.js';
import { readDetections, readExclusions, readGroundTruth } from './ava_csv.js';
import { AvaEvaluator, type GroundTruth } from './ava_evaluator.js';
import type { AvaResults } from './types.js';

export interface EvaluationFiles {
  /** AVA's csv files of boxes and actions. */
  readonly groundTruth: readonly string[];
  readonly labelMap: string;
  /** Key frames that do not count. */
  readonly exclude?: string;
}

/** Reads what detections are compared with. Throws DataError with file and line. */
export function readTruth({ groundTruth, labelMap, exclude }: EvaluationFiles): GroundTruth {
  const labels = readLabelMap(labelMap);
  const excluded = exclude === undefined ? new Set<string>() : readExclusions(exclude);
  return { labels, boxes: readGroundTruth(groundTruth, idsOf(labels)), excluded };
}

/** Evaluates a csv file of detections (video, second, x1, y1, x2, y2, action id, score). */
export function evaluateFiles(files: EvaluationFiles, predictions: string): AvaResults {
  const truth = readTruth(files);
  const evaluator = new AvaEvaluator(truth);
  for (const [key, image] of readDetections(predictions, idsOf(truth.labels))) evaluator.add(key, image);
  return evaluator.results();
}

function idsOf(labels: readonly ActionLabel[]): Set<number> {
  return new Set(labels.map(({ id }) => id));
}
