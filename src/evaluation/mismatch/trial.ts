/** @file Trials: how well the boxes of both sides fit in another reading. */
import type { BoxTable, ImageBoxes } from '../ava_csv.js';
import { avaIou, hasArea } from '../overlap.js';
import type { Comparison } from './comparison.js';

const IOU_THRESHOLD = 0.5;

/** A key frame of the predictions and the matching one of the ground truth. */
export type KeyPair = readonly [predicted: string, labelled: string];

/** Converts the four columns of a box to x1, y1, x2, y2. */
export type ReadBox = (a: number, b: number, c: number, d: number) => readonly number[];

export interface Trial {
  readonly pairs: readonly KeyPair[];
  readonly predictions: BoxTable;
  readonly groundTruth: BoxTable;
}

export function trialOf({ predictions, groundTruth }: Comparison, pairs: readonly KeyPair[]): Trial {
  return { pairs, predictions: predictions.boxes, groundTruth: groundTruth.boxes };
}

export interface Reading {
  /** Conversions of the boxes of each side. */
  readonly predictions?: ReadBox;
  readonly groundTruth?: ReadBox;
  /** Added to the ids of the predictions; if it is given, only boxes with equal ids match. */
  readonly idOffset?: number;
}

export interface TrialResult {
  /** Number of true boxes at the key frames. */
  readonly trueBoxes: number;
  /** Number of true boxes that a prediction overlaps by half or more. */
  readonly found: number;
  /** Mean of the largest overlap of each true box. */
  readonly overlap: number;
}

export function tryReading({ pairs, predictions, groundTruth }: Trial, reading: Reading = {}): TrialResult {
  let [trueBoxes, found, sum] = [0, 0, 0];
  for (const [predicted, labelled] of pairs) {
    const [detections, image] = [predictions.get(predicted), groundTruth.get(labelled)];
    if (!detections || !image) continue;
    const boxes = readBoxes(detections, reading.predictions);
    const labelledBoxes = readBoxes(image, reading.groundTruth);
    for (let row = 0; row < image.classes.length; row++) {
      const largest = largestOverlap(labelledBoxes, row, boxes, (other) =>
        reading.idOffset === undefined
          ? true
          : detections.classes[other] + reading.idOffset === image.classes[row],
      );
      trueBoxes++;
      sum += largest;
      if (largest >= IOU_THRESHOLD) found++;
    }
  }
  return { trueBoxes, found, overlap: trueBoxes > 0 ? sum / trueBoxes : 0 };
}

function readBoxes({ boxes }: ImageBoxes, read: ReadBox | undefined): readonly number[] {
  if (!read) return boxes;
  const result: number[] = [];
  for (let i = 0; i < boxes.length; i += 4) {
    result.push(...read(boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]));
  }
  return result;
}

function largestOverlap(
  labelledBoxes: readonly number[],
  row: number,
  boxes: readonly number[],
  matches: (other: number) => boolean,
): number {
  let largest = 0;
  for (let other = 0; 4 * other < boxes.length; other++) {
    if (!hasArea(boxes, other) || !matches(other)) continue;
    largest = Math.max(largest, avaIou(labelledBoxes, 4 * row, boxes, 4 * other));
  }
  return largest;
}
