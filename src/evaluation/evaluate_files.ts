/** @file Evaluation of detections in a csv file against ground truth in csv files. */
import type { Config } from '../config/index.js';
import { annotationPath } from '../data/data_config.js';
import { type ActionLabel, readLabelMapFile } from '../data/datasets/label_map.js';
import type { LeftOut } from '../data/datasets/missing_data.js';
import { KeyFrameTimes } from '../data/time.js';
import { countOf } from '../util/text.js';
import { type GroundTruthOptions, readDetections, readExclusions, readGroundTruthBoxes } from './ava_csv.js';
import { AvaEvaluator, type GroundTruth } from './ava_evaluator.js';
import { type Comparison, type Side, shareOf } from './mismatch/comparison.js';
import { exclusionNote } from './mismatch/exclusions.js';
import {
  findMismatches,
  findRepeats,
  groundTruthMismatches,
  nothingFoundSentence,
} from './mismatch/find_mismatches.js';
import { RowSummary } from './row_summary.js';
import type { AvaResults } from './types.js';

export interface EvaluationFiles {
  /** AVA's csv files of boxes and actions. */
  readonly groundTruth: readonly string[];
  readonly labelMap: string;
  /** List of key frames to leave out. */
  readonly exclude?: string;
}

/** Ground truth with a summary of its files that includes rows which are not evaluated. */
export interface SummarizedGroundTruth extends GroundTruth {
  readonly summary: RowSummary;
  /** A sentence about ids that the label map does not state, or null. */
  readonly labelNote: string | null;
  /** Path of the list of exclusions, or null without one. */
  readonly exclusionFile: string | null;
}

export interface FileResults extends AvaResults {
  /** Mismatches between the files, one sentence each. */
  readonly warnings: readonly string[];
  /** Counts of data that is left out on purpose. */
  readonly notes: readonly string[];
}

export interface FileOptions {
  /** Added to the seconds of the predictions. */
  readonly secondOffset?: number;
}

/** The ground truth files of a configuration. */
export function groundTruthFiles(cfg: Config): EvaluationFiles {
  const { TEST_GT_BOX_LISTS, LABEL_MAP_FILE, EXCLUSION_FILE } = cfg.AVA;
  const path = (name: string) => annotationPath(cfg, name);
  return {
    groundTruth: TEST_GT_BOX_LISTS.map(path),
    labelMap: path(LABEL_MAP_FILE),
    exclude: EXCLUSION_FILE === '' ? undefined : path(EXCLUSION_FILE),
  };
}

/**
 * Reads ground truth, label map and exclusions; only key frames for which `keep` is true count. Throws DataError with file and
 * line.
 */
export function readGroundTruth(
  { groundTruth, labelMap, exclude }: EvaluationFiles,
  keep?: GroundTruthOptions['keep'],
): SummarizedGroundTruth {
  const { labels, note: labelNote } = readLabelMapFile(labelMap);
  const summary = new RowSummary();
  const times = new KeyFrameTimes();
  const boxes = readGroundTruthBoxes(groundTruth, idsOf(labels), { summary, times, keep });
  const excluded = exclude === undefined ? new Set<string>() : readExclusions(exclude, times);
  return { labels, labelNote, boxes, times, excluded, exclusionFile: exclude ?? null, summary };
}

/** Reads ground truth and exclusions without the videos and key frames that a data set leaves out. */
export function readPresentGroundTruth(files: EvaluationFiles, leftOut: LeftOut): SummarizedGroundTruth {
  const videos = new Set([...leftOut.withoutFrames, ...leftOut.unlisted]);
  const keep = (video: string, second: number) =>
    !videos.has(video) && !leftOut.clips.get(video)?.has(second);
  const groundTruth = readGroundTruth(files, keep);
  const excluded = new Set(
    [...groundTruth.excluded].filter((key) => !videos.has(key.slice(0, key.lastIndexOf(',')))),
  );
  // A list that names only missing videos is not empty, and nothing has to be said about it.
  const isIdle = excluded.size === 0 && groundTruth.excluded.size > 0;
  return { ...groundTruth, excluded, exclusionFile: isIdle ? null : groundTruth.exclusionFile };
}

/** Mismatches between ground truth, label map and exclusions, one sentence each. */
export function groundTruthWarnings(groundTruth: SummarizedGroundTruth): string[] {
  return groundTruthMismatches({ ...groundTruth, groundTruth: groundTruthSide(groundTruth) });
}

/** Counts of rows and key frames that label map and exclusions leave out on purpose. */
export function groundTruthNotes(groundTruth: SummarizedGroundTruth): string[] {
  const { summary, labels } = groundTruth;
  const known = new Set(labels.map(({ id }) => id));
  const others = [...summary.ids].filter(([id]) => !known.has(id));
  const rows = others.reduce((sum, [, count]) => sum + count, 0);
  const withAction = [...summary.ids.values()].reduce((sum, count) => sum + count, 0);
  const without = summary.rows - withAction;
  return [
    ...(groundTruth.labelNote === null ? [] : [groundTruth.labelNote]),
    ...(without > 0
      ? [`${shareOf(without, summary.rows, 'row')} of the ground truth have no action and are not evaluated`]
      : []),
    ...(rows > 0
      ? [
          `${shareOf(rows, summary.rows, 'row')} of the ground truth have one of ${countOf(others.length, 'action')} that ` +
            'the label map does not have, and are not evaluated',
        ]
      : []),
    ...exclusionNotes(groundTruth, [groundTruthSide(groundTruth)]),
  ];
}

/** Notes about the key frames that the list of exclusions leaves out, or that the list is empty. */
function exclusionNotes(
  { excluded, exclusionFile }: SummarizedGroundTruth,
  sides: readonly Side[],
): string[] {
  if (exclusionFile !== null && excluded.size === 0)
    return [`${exclusionFile}: the list of exclusions is empty, so every key frame counts`];
  const note = exclusionNote(sides, excluded);
  return note === null ? [] : [note];
}

/** Evaluates a csv file of detections (video, second, x1, y1, x2, y2, action id, score). */
export function evaluateFiles(
  files: EvaluationFiles,
  predictions: string,
  { secondOffset = 0 }: FileOptions = {},
): FileResults {
  const groundTruth = readGroundTruth(files);
  const summary = new RowSummary();
  const { labels, times } = groundTruth;
  const boxes = readDetections(predictions, idsOf(labels), { secondOffset, summary, times });
  const comparison: Comparison = {
    groundTruth: groundTruthSide(groundTruth),
    predictions: { name: 'predictions', summary, boxes },
    labels,
    excluded: groundTruth.excluded,
    secondOffset,
  };
  const warnings = findMismatches(comparison);
  const evaluator = new AvaEvaluator(groundTruth);
  for (const [key, image] of boxes) evaluator.add(key, image);
  const results = evaluator.results();
  if (warnings.length === 0 && nothingFound(results)) warnings.push(nothingFoundSentence(comparison));
  warnings.push(...findRepeats(comparison));
  const sides = [comparison.predictions, comparison.groundTruth];
  const notes = exclusionNotes(groundTruth, sides);
  return {
    ...results,
    warnings,
    notes: groundTruth.labelNote === null ? notes : [groundTruth.labelNote, ...notes],
  };
}

/** The ground truth as one side of a comparison. */
export function groundTruthSide({ summary, boxes }: SummarizedGroundTruth): Side {
  return { name: 'ground truth', summary, boxes };
}

function nothingFound({ perClass }: AvaResults): boolean {
  return perClass.every(({ curve }) => curve.recall.every((recall) => !(recall > 0)));
}

function idsOf(labels: readonly ActionLabel[]): Set<number> {
  return new Set(labels.map(({ id }) => id));
}
