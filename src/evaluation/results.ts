/** @file Results of an evaluation as JSON, CSV and text. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { csvField } from '../data/datasets/csv.js';
import type { LeftOut, Share } from '../data/datasets/missing_data.js';
import { writeResult } from '../files/write_file.js';
import { count } from '../util/text.js';
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
  /** What DATA.MISSING skip leaves out, if there is anything. */
  left_out?: LeftOutJson;
}

/** Numbers of annotated videos, key frames and boxes that are left out, the numbers of all, and the first names. */
export interface LeftOutJson {
  videos: number;
  of_videos: number;
  key_frames: number;
  of_key_frames: number;
  boxes: number;
  of_boxes: number;
  first_videos: string[];
}

/** Maximum number of names of videos in a file. */
const NAMED_VIDEOS = 10;

function leftOutJson({ videos, keyFrames, boxes, withoutFrames, unlisted }: LeftOut): LeftOutJson {
  return {
    videos: videos.out,
    of_videos: videos.of,
    key_frames: keyFrames.out,
    of_key_frames: keyFrames.of,
    boxes: boxes.out,
    of_boxes: boxes.of,
    first_videos: [...withoutFrames, ...unlisted].slice(0, NAMED_VIDEOS),
  };
}

export function resultsJson({ mAP, perClass, leftOut }: AvaResults): ResultsJson {
  return {
    mAP,
    per_class: perClass.map(({ id, name, ap, numGroundTruth }) => ({
      id,
      name,
      ap,
      num_ground_truth: numGroundTruth,
    })),
    ...(leftOut && { left_out: leftOutJson(leftOut) }),
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
export function resultsTable(results: AvaResults): string {
  const { perClass } = results;
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
  return [title, ...rows, '', summary(results)].join('\n');
}

/** The mean and, if there are many classes, the best and worst ones, in one line. */
export function summary({ mAP, perClass, leftOut }: AvaResults): string {
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
  if (leftOut) {
    const there = ({ out, of }: Share) => `${count(of - out)} of ${count(of)}`;
    parts.push(
      `only ${there(leftOut.videos)} videos and ${there(leftOut.keyFrames)} key frames are evaluated, because the others are ` +
        'missing (DATA.MISSING skip)',
    );
  }
  return parts.join('; ');
}
