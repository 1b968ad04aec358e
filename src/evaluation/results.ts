/** @file Results of an evaluation as JSON, CSV and text. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeResult } from '../files/write_file.js';
import { csvField, writeDetections } from './ava_csv.js';
import type { AvaResults, ClassResult, ClipDetections } from './types.js';

/** The file with the precision-recall curves of an evaluation, and the one with its detections. */
export const PRECISION_RECALL = 'precision_recall.json';
export const DETECTIONS = 'detections.csv';

/** Points of a precision-recall curve that are kept in a file. */
const CURVE_POINTS = 200;
/** Classes in the summary from either end. */
const EXTREMES = 3;

/** What results.json holds, and what `--json` prints. */
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

/**
 * Writes results.json, per_class.csv, precision_recall.json and, where clips are given, detections.csv (AVA's form)
 * into the folder, which is made if need be.
 */
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

/** The curve at evenly spaced points, its ends among them. */
function thinned({ scores, precision, recall }: ClassResult['curve']) {
  const count = Math.min(scores.length, CURVE_POINTS);
  const step = count > 1 ? (scores.length - 1) / (count - 1) : 0;
  const pick = (values: Float64Array) =>
    Array.from({ length: count }, (_, i) => values[Math.round(i * step)]);
  return { scores: pick(scores), precision: pick(precision), recall: pick(recall) };
}

const score = (ap: number | null) => (ap === null ? '–' : ap.toFixed(4));

/** A table of all classes, and below it the mean. */
export function resultsTable({ mAP, perClass }: AvaResults): string {
  const width = Math.max(5, ...perClass.map(({ name }) => name.length));
  const line = (id: string, name: string, ap: string, truths: string, found: string) =>
    `${id.padStart(4)}  ${name.padEnd(width)}  ${ap.padStart(7)}  ${truths.padStart(7)}  ${found.padStart(10)}`;
  const rows = perClass.map(({ id, name, ap, numGroundTruth, curve }) =>
    line(String(id), name, score(ap), String(numGroundTruth), String(curve.scores.length)),
  );
  return [
    line('id', 'class', 'AP@0.5', 'truths', 'detections'),
    ...rows,
    '',
    summary({ mAP, perClass }),
  ].join('\n');
}

/** The mean, and the best and worst classes where there are many, in one line. */
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
