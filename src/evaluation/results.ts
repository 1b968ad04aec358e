/** @file Results of an evaluation as JSON, CSV and text. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { csvField } from '../data/datasets/csv.js';
import { writeResult } from '../files/write_file.js';
import { writeDetections } from './detections_csv.js';
import type { AvaResults, ClassResult, ClipDetections } from './types.js';

/** The file with the precision-recall curves of an evaluation, and the one with its detections. */
export const PRECISION_RECALL = 'precision_recall.json';
export const DETECTIONS = 'detections.csv';

/** Maximum number of points of a precision-recall curve in a file. */
const MAX_CURVE_POINTS = 200;
/** Number of best and of worst classes in the summary. */
const EXTREMES = 3;

/** Content of results.json and of the output of `--json`. */
export interface ResultsJson {
  mAP: number | null;
  per_class: { id: number; name: string; ap: number | null; num_ground_truth: number }[];
}

export function resultsJson({ mAP, perClass }: AvaResults): ResultsJson {
  return {
    mAP,
    per_class: perClass.map(({ id, name, ap, numGroundTruth }) => ({
      id,
      name,
      ap,
      num_ground_truth: numGroundTruth,
    })),
  };
}

/** Writes results.json, per_class.csv, precision_recall.json and, if clips are given, detections.csv; creates the folder. */
export function writeResults(folder: string, results: AvaResults, clips?: readonly ClipDetections[]): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string) => writeResult(join(folder, name), text);
  write('results.json', `${JSON.stringify(resultsJson(results), null, 2)}\n`);
  const rows = results.perClass.map(({ id, name, ap, numGroundTruth, curve }) =>
    [id, csvField(name), ap ?? '', numGroundTruth, curve.scores.length].join(),
  );
  write('per_class.csv', `${['id,name,ap,num_ground_truth,num_detections', ...rows].join('\n')}\n`);
  const curves = results.perClass.map(({ id, name, curve }) => [id, { name, ...thinned(curve) }]);
  write(PRECISION_RECALL, `${JSON.stringify(Object.fromEntries(curves))}\n`);
  if (clips) writeDetections(join(folder, DETECTIONS), clips);
}

/** The curve at evenly spaced points, including its ends. */
function thinned({ scores, precision, recall }: ClassResult['curve']) {
  const count = Math.min(scores.length, MAX_CURVE_POINTS);
  const step = count > 1 ? (scores.length - 1) / (count - 1) : 0;
  const pick = (values: Float64Array) =>
    Array.from({ length: count }, (_, i) => values[Math.round(i * step)]);
  return { scores: pick(scores), precision: pick(precision), recall: pick(recall) };
}

const score = (ap: number | null) => (ap === null ? '–' : ap.toFixed(4));

/** A table of all classes, with the mean below it. */
export function resultsTable({ mAP, perClass }: AvaResults): string {
  const width = Math.max(5, ...perClass.map(({ name }) => name.length));
  const line = ([id, name, ap, truths, found]: readonly (string | number)[]) =>
    [
      String(id).padStart(4),
      String(name).padEnd(width),
      String(ap).padStart(7),
      String(truths).padStart(7),
      String(found).padStart(10),
    ].join('  ');
  const rows = perClass.map(({ id, name, ap, numGroundTruth, curve }) =>
    line([id, name, score(ap), numGroundTruth, curve.scores.length]),
  );
  const title = line(['id', 'class', 'AP@0.5', 'truths', 'detections']);
  return [title, ...rows, '', summary({ mAP, perClass })].join('\n');
}

/** The mean and, if there are many classes, the best and worst ones, in one line. */
export function summary({ mAP, perClass }: AvaResults): string {
  const known = perClass
    .filter((entry): entry is ClassResult & { ap: number } => entry.ap !== null)
    .sort((a, b) => b.ap - a.ap);
  const list = (classes: typeof known) => classes.map(({ name, ap }) => `${name} ${score(ap)}`).join(', ');
  if (mAP === null) return 'mAP@0.5 is not defined: no class of the label map has ground truth';
  const missing = perClass.length - known.length;
  const parts = [
    `mAP@0.5 ${score(mAP)} over ${known.length} ${known.length === 1 ? 'class' : 'classes'}` +
      (missing > 0 ? ` (${missing} without ground truth are left out)` : ''),
  ];
  if (known.length > 2 * EXTREMES) {
    parts.push(`best: ${list(known.slice(0, EXTREMES))}`, `worst: ${list(known.slice(-EXTREMES).reverse())}`);
  }
  return parts.join('; ');
}
