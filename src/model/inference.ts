/** @file From the last stage's predictions to detections. */
import * as tf from '@tensorflow/tfjs';
import type { StagePrediction } from './detector.js';

/** A clip's detections: n persons, as the last stage sees them. */
export interface Detections {
  /** Corners as fractions of the clip's width and height, [n, 4]. */
  boxes: Float32Array;
  /** Probability of being a person, [n]. */
  personScores: Float32Array;
  /** Probability of each action, [n, K]. */
  actionScores: Float32Array;
}

/** How many queries stay where none reaches the threshold. */
const FALLBACK_COUNT = 3;

/** A box cut to the pixels of an image: x to [0, width − 1], y to [0, height − 1]. */
export function clipBox(box: ArrayLike<number>, width: number, height: number): number[] {
  const clip = (value: number, last: number) => Math.min(Math.max(value, 0), last);
  const [right, bottom] = [width - 1, height - 1];
  return [clip(box[0], right), clip(box[1], bottom), clip(box[2], right), clip(box[3], bottom)];
}

/**
 * Keeps the queries whose person score reaches the threshold, in query order, else the best three by score; clips
 * their boxes to the image. `whwh` is [B, 4] on the host.
 */
export function toDetections(
  { logits, actions, boxes }: Pick<StagePrediction, 'logits' | 'actions' | 'boxes'>,
  whwh: ArrayLike<number>,
  personThreshold: number,
): Detections[] {
  const [B, Q, K] = actions.shape;
  const read = (compute: () => tf.Tensor) => {
    const tensor = tf.tidy(compute);
    const data = tensor.dataSync() as Float32Array;
    tensor.dispose();
    return data;
  };
  const person = read(() => tf.softmax(logits).slice([0, 0, 0], [B, Q, 1]));
  const scores = read(() => actions.sigmoid());
  const corners = read(() => boxes.clone());
  // Scores are float32, and so is the threshold that PyTorch compares them with.
  const threshold = Math.fround(personThreshold);

  return Array.from({ length: B }, (_, b) => {
    const rows = Array.from({ length: Q }, (_, q) => b * Q + q);
    const confident = rows.filter((row) => person[row] >= threshold);
    const kept = confident.length
      ? confident
      : rows.sort((p, q) => person[q] - person[p]).slice(0, FALLBACK_COUNT);
    const [w, h] = [whwh[4 * b], whwh[4 * b + 1]];
    const normalized = (row: number) => {
      const [x1, y1, x2, y2] = clipBox(corners.subarray(4 * row, 4 * row + 4), w, h);
      return [x1 / w, y1 / h, x2 / w, y2 / h];
    };
    return {
      boxes: Float32Array.from(kept.flatMap(normalized)),
      personScores: Float32Array.from(kept, (row) => person[row]),
      actionScores: Float32Array.from(
        kept.flatMap((row) => Array.from(scores.subarray(row * K, (row + 1) * K))),
      ),
    };
  });
}
