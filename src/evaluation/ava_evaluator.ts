/** @file AVA's mean average precision at IoU 0.5, with the results of the official evaluator. */
import type { ActionLabel } from '../data/datasets/label_map.js';
import type { KeyFrameTimes } from '../data/time.js';
import { type BoxTable, type ImageBoxes, imageKey } from './ava_csv.js';
import { averagePrecision, descendingOrder, precisionRecall } from './average_precision.js';
import { fiveDecimals } from './detections_csv.js';
import { avaIou, hasArea } from './overlap.js';
import type { AvaResults, ClassResult, ClipDetections } from './types.js';

const IOU_THRESHOLD = 0.5;
/** Maximum number of detections of one class in one image, as in the official evaluator. */
const MAX_PER_IMAGE = 10_000;

/** Detections of one class so far, in the order of the images: scores, and 1 for a true positive. */
interface ClassDetections {
  readonly scores: number[];
  readonly isTrue: number[];
}

/** The annotations that detections are compared with. */
export interface GroundTruth {
  readonly labels: readonly ActionLabel[];
  /** Boxes of the classes in `labels`. */
  readonly boxes: BoxTable;
  /** The times that name the key frames of `boxes` and `excluded`. */
  readonly times: KeyFrameTimes;
  /** Keys of images whose annotations and detections are not evaluated. */
  readonly excluded: ReadonlySet<string>;
}

/** Evaluates the detections of one image after the other. */
export class AvaEvaluator {
  readonly #classes: Map<number, ClassDetections>;

  constructor(private readonly groundTruth: GroundTruth) {
    this.#classes = new Map(groundTruth.labels.map(({ id }) => [id, { scores: [], isTrue: [] }]));
  }

  /** Adds all detections of one image. Each image may be added once. Boxes without an area are left out. */
  add(key: string, detections: ImageBoxes): void {
    if (this.groundTruth.excluded.has(key)) return;
    const image = this.groundTruth.boxes.get(key);
    for (const [id, rows] of rowsByClass(detections.classes)) {
      const entry = this.#classes.get(id);
      if (!entry) continue;
      const valid = rows.filter((row) => hasArea(detections.boxes, row));
      const scores = valid.map((row) => detections.scores[row]);
      const trueRows = image ? image.classes.flatMap((other, row) => (other === id ? [row] : [])) : [];
      const taken = new Set<number>();
      for (const index of descendingOrder(scores).subarray(0, MAX_PER_IMAGE)) {
        // A detection can match only the true box with the largest overlap.
        const [best, overlap] = closest(detections.boxes, valid[index], image?.boxes, trueRows);
        const hit = overlap >= IOU_THRESHOLD && !taken.has(best);
        if (hit) taken.add(best);
        entry.scores.push(scores[index]);
        entry.isTrue.push(hit ? 1 : 0);
      }
    }
  }

  /** Adds the detections of a clip with the scores of all actions, rounded like numbers in AVA's csv. */
  addClip({ clip, detections }: ClipDetections): void {
    const { boxes, personScores, actionScores } = detections;
    const numClasses = personScores.length ? actionScores.length / personScores.length : 0;
    const rows: ImageBoxes = { boxes: [], classes: [], scores: [] };
    for (let person = 0; person < personScores.length; person++) {
      const box = Array.from(boxes.subarray(4 * person, 4 * person + 4), fiveDecimals);
      for (const { id } of this.groundTruth.labels) {
        if (id > numClasses) continue;
        rows.boxes.push(box[0], box[1], box[2], box[3]);
        rows.classes.push(id);
        rows.scores.push(fiveDecimals(actionScores[person * numClasses + id - 1]));
      }
    }
    const { videoName } = clip;
    this.add(imageKey(videoName, this.groundTruth.times.timeOf(videoName, clip.second)), rows);
  }

  results(): AvaResults {
    const counts = new Map<number, number>();
    for (const [key, { classes }] of this.groundTruth.boxes) {
      if (this.groundTruth.excluded.has(key)) continue;
      for (const id of classes) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const perClass = this.groundTruth.labels.map(({ id, name }): ClassResult => {
      const numGroundTruth = counts.get(id) ?? 0;
      const { scores, isTrue } = this.#classes.get(id)!;
      const curve = precisionRecall(scores, isTrue, numGroundTruth);
      return { id, name, ap: numGroundTruth > 0 ? averagePrecision(curve) : null, numGroundTruth, curve };
    });
    const values = perClass.flatMap(({ ap }) => (ap === null ? [] : [ap]));
    const mAP = values.length ? values.reduce((sum, ap) => sum + ap, 0) / values.length : null;
    return { mAP, perClass };
  }
}

function rowsByClass(classes: readonly number[]): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  classes.forEach((id, row) => {
    const list = rows.get(id);
    if (list) list.push(row);
    else rows.set(id, [row]);
  });
  return rows;
}

/** The first of `trueRows` with the largest overlap, and that overlap. */
function closest(
  boxes: readonly number[],
  row: number,
  trueBoxes: readonly number[] | undefined,
  trueRows: readonly number[],
): [number, number] {
  let best = -1;
  let largest = -1;
  for (const other of trueRows) {
    const overlap = avaIou(boxes, 4 * row, trueBoxes!, 4 * other);
    if (overlap > largest) [best, largest] = [other, overlap];
  }
  return [best, largest];
}
