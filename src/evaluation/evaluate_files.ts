/** @file Detections in a csv file against ground truth in another. */
import type { Config } from '../config/index.js';
import { annotationPath } from '../data/data_config.js';
import { type ActionLabel, readLabelMap } from '../data/datasets/label_map.js';
import { countOf } from '../util/progress.js';
import { readDetections, readExclusions, readGroundTruth } from './ava_csv.js';
import { AvaEvaluator, type GroundTruth } from './ava_evaluator.js';
import { shareOf } from './mismatch/comparison.js';
import { exclusionNote } from './mismatch/exclusions.js';
import {
  type Comparison,
  findMismatches,
  findRepeats,
  nothingFoundSentence,
  type Side,
  truthMismatches,
} from './mismatch/find.js';
import { RowSummary } from './row_summary.js';
import type { AvaResults } from './types.js';

export interface EvaluationFiles {
  /** AVA's csv files of boxes and actions. */
  readonly groundTruth: readonly string[];
  readonly labelMap: string;
  /** Key frames that do not count. */
  readonly exclude?: string;
}

/** The ground truth, with a summary of its files before anything was left out. */
export interface Truth extends GroundTruth {
  readonly summary: RowSummary;
  /** The list of exclusions, or null without one. */
  readonly exclusionFile: string | null;
}

export interface FileResults extends AvaResults {
  /** A sentence for each misfit between the files. */
  readonly warnings: readonly string[];
  /** Counts of what is left out on purpose. */
  readonly notes: readonly string[];
}

export interface FileOptions {
  /** Added to the seconds of the predictions. */
  readonly secondOffset?: number;
}

/** The files that a configuration evaluates with. */
export function truthFilesOf(cfg: Config): EvaluationFiles {
  const { TEST_GT_BOX_LISTS, LABEL_MAP_FILE, EXCLUSION_FILE } = cfg.AVA;
  const path = (name: string) => annotationPath(cfg, name);
  return {
    groundTruth: TEST_GT_BOX_LISTS.map(path),
    labelMap: path(LABEL_MAP_FILE),
    exclude: EXCLUSION_FILE === '' ? undefined : path(EXCLUSION_FILE),
  };
}

/** Reads what detections are compared with. Throws DataError with file and line. */
export function readTruth({ groundTruth, labelMap, exclude }: EvaluationFiles): Truth {
  const labels = readLabelMap(labelMap);
  const excluded = exclude === undefined ? new Set<string>() : readExclusions(exclude);
  const summary = new RowSummary();
  const boxes = readGroundTruth(groundTruth, idsOf(labels), summary);
  return { labels, boxes, excluded, exclusionFile: exclude ?? null, summary };
}

/** Returns a sentence for each misfit between ground truth, label map and exclusions. */
export function truthWarnings(truth: Truth): string[] {
  return truthMismatches({ ...truth, truth: truthSide(truth) });
}

/** Returns counts of what a ground truth's label map and exclusions leave out on purpose. */
export function truthNotes(truth: Truth): string[] {
  const { summary, labels } = truth;
  const known = new Set(labels.map(({ id }) => id));
  const others = [...summary.ids].filter(([id]) => !known.has(id));
  const rows = others.reduce((sum, [, count]) => sum + count, 0);
  const withAction = [...summary.ids.values()].reduce((sum, count) => sum + count, 0);
  const without = summary.rows - withAction;
  return [
    ...(without > 0
      ? [`${shareOf(without, summary.rows, 'row')} of the ground truth have no action and are not evaluated`]
      : []),
    ...(rows > 0
      ? [
          `${shareOf(rows, summary.rows, 'row')} of the ground truth have one of ${countOf(others.length, 'action')} that ` +
            'the label map does not have, and are not evaluated',
        ]
      : []),
    ...exclusionNotes(truth, [truthSide(truth)]),
  ];
}

/** Says what the list of exclusions leaves out of the sides, or that it is empty; nothing without a list. */
function exclusionNotes({ excluded, exclusionFile }: Truth, sides: readonly Side[]): string[] {
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
  const truth = readTruth(files);
  const summary = new RowSummary();
  const boxes = readDetections(predictions, idsOf(truth.labels), { secondOffset, summary });
  const comparison: Comparison = {
    truth: truthSide(truth),
    predictions: { name: 'predictions', summary, boxes },
    labels: truth.labels,
    excluded: truth.excluded,
    secondOffset,
  };
  const warnings = findMismatches(comparison);
  const evaluator = new AvaEvaluator(truth);
  for (const [key, image] of boxes) evaluator.add(key, image);
  const results = evaluator.results();
  if (warnings.length === 0 && nothingFound(results)) warnings.push(nothingFoundSentence(comparison));
  warnings.push(...findRepeats(comparison));
  return { ...results, warnings, notes: exclusionNotes(truth, [comparison.predictions, comparison.truth]) };
}

/** The ground truth as the search for misfits sees it. */
export function truthSide({ summary, boxes }: Truth): Side {
  return { name: 'ground truth', summary, boxes };
}

function nothingFound({ perClass }: AvaResults): boolean {
  return perClass.every(({ curve }) => curve.recall.every((recall) => !(recall > 0)));
}

function idsOf(labels: readonly ActionLabel[]): Set<number> {
  return new Set(labels.map(({ id }) => id));
}
