/** @file How well the boxes of key frames fit each other if they are read in another way. */
import type { BoxTable, ImageBoxes } from '../ava_csv.js';
import { hasArea, iou } from '../overlap.js';
import type { Comparison } from './comparison.js';

const IOU_THRESHOLD = 0.5;

/** A key frame of the predictions and the one of the ground truth that it is. */
export type KeyPair = readonly [predicted: string, labelled: string];

/** Another way to read a box. */
export type ReadBox = (a: number, b: number, c: number, d: number) => readonly number[];

export interface Trial {
  readonly pairs: readonly KeyPair[];
  readonly predictions: BoxTable;
  readonly truth: BoxTable;
}

export function trialOf({ predictions, truth }: Comparison, pairs: readonly KeyPair[]): Trial {
  return { pairs, predictions: predictions.boxes, truth: truth.boxes };
}

export interface Reading {
  /** Other ways to read the boxes of either side. */
  readonly predictions?: ReadBox;
  readonly truth?: ReadBox;
  /** Adds to the ids of the predictions, and lets only boxes of equal ids match. */
  readonly idOffset?: number;
}

export interface TrialResult {
  /** True boxes at the key frames. */
  readonly truths: number;
  /** Those that a prediction overlaps by half or more. */
  readonly found: number;
  /** Mean of the largest overlap of each true box. */
  readonly overlap: number;
}

export function tryReading({ pairs, predictions, truth }: Trial, reading: Reading = {}): TrialResult {
  let [truths, found, sum] = [0, 0, 0];
  for (const [predicted, labelled] of pairs) {
    const [detections, image] = [predictions.get(predicted), truth.get(labelled)];
    if (!detections || !image) continue;
    const boxes = readBoxes(detections, reading.predictions);
    const trueBoxes = readBoxes(image, reading.truth);
    for (let row = 0; row < image.classes.length; row++) {
      const largest = largestOverlap(trueBoxes, row, boxes, (other) =>
        reading.idOffset === undefined
          ? true
          : detections.classes[other] + reading.idOffset === image.classes[row],
      );
      truths++;
      sum += largest;
      if (largest >= IOU_THRESHOLD) found++;
    }
  }
  return { truths, found, overlap: truths > 0 ? sum / truths : 0 };
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
  truth: readonly number[],
  row: number,
  boxes: readonly number[],
  matches: (other: number) => boolean,
): number {
  let largest = 0;
  for (let other = 0; 4 * other < boxes.length; other++) {
    if (!hasArea(boxes, other) || !matches(other)) continue;
    largest = Math.max(largest, iou(truth, 4 * row, boxes, 4 * other));
  }
  return largest;
}
