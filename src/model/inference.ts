/** @file Makes detections from the predictions of the last decoder stage. */
import { tf } from '../engine/tfjs.js';
import type { StagePrediction } from './detector.js';

/** The detections in a clip: n people. */
export interface Detections {
  /** Corners as fractions of the clip's width and height, [n, 4]. */
  boxes: Float32Array;
  /** Probability of being a person, [n]. */
  personScores: Float32Array;
  /** Probability of each action, [n, K]. */
  actionScores: Float32Array;
}

/** Number of detections in a clip in which no query reaches the threshold. */
const FALLBACK_COUNT = 3;

/** Clips a box [4] to the pixels of an image: x to [0, width − 1], y to [0, height − 1]. */
export function clipBox(box: ArrayLike<number>, width: number, height: number): number[] {
  const clip = (value: number, last: number) => Math.min(Math.max(value, 0), last);
  const [right, bottom] = [width - 1, height - 1];
  return [clip(box[0], right), clip(box[1], bottom), clip(box[2], right), clip(box[3], bottom)];
}

/** The predictions of the last stage on the host. Row b·numQueries + q belongs to query q of clip b. */
export interface Predictions {
  readonly numClips: number;
  readonly numQueries: number;
  readonly numActions: number;
  /** Probability of being a person, [B·Q]. */
  readonly person: Float32Array;
  /** Probability of each action, [B·Q, K]. */
  readonly actions: Float32Array;
  /** Corners in pixels of the clip, [B·Q, 4]. */
  readonly boxes: Float32Array;
}

type RawPredictions = Pick<StagePrediction, 'logits' | 'actions' | 'boxes'>;

/** Content and shape of a tensor on the host. */
export interface HostResult {
  readonly content: Float32Array;
  readonly shape: readonly number[];
}

/** Computes the tensors of a stage that `predictionsOf` reads: person [B, Q, 1], actions [B, Q, K], boxes [B, Q, 4]. */
export function predictionTensors({ logits, actions, boxes }: RawPredictions): tf.Tensor[] {
  const [numClips, numQueries] = actions.shape;
  return [tf.softmax(logits).slice([0, 0, 0], [numClips, numQueries, 1]), actions.sigmoid(), boxes.clone()];
}

/** Makes predictions of the contents of `predictionTensors`. */
export function predictionsOf([person, actions, boxes]: readonly HostResult[]): Predictions {
  const [numClips, numQueries, numActions] = actions.shape;
  return {
    numClips,
    numQueries,
    numActions,
    person: person.content,
    actions: actions.content,
    boxes: boxes.content,
  };
}

/** Returns the rows of a clip. */
export function rowsOf({ numQueries }: Predictions, clip: number): number[] {
  return Array.from({ length: numQueries }, (_, q) => clip * numQueries + q);
}

/** Returns those of `rows` whose person score reaches the threshold. */
export function confidentRows({ person }: Predictions, rows: readonly number[], threshold: number): number[] {
  // PyTorch compares the float32 scores with a float32 threshold.
  return rows.filter((row) => person[row] >= Math.fround(threshold));
}

/** Makes detections of some rows of a clip. Boxes are clipped to its `width` and `height`, in pixels. */
export function detectionsOf(
  { numActions, person, actions, boxes }: Predictions,
  rows: readonly number[],
  width: number,
  height: number,
): Detections {
  const normalized = (row: number) => {
    const [x1, y1, x2, y2] = clipBox(boxes.subarray(4 * row, 4 * row + 4), width, height);
    return [x1 / width, y1 / height, x2 / width, y2 / height];
  };
  const scores = (row: number) => Array.from(actions.subarray(row * numActions, (row + 1) * numActions));
  return {
    boxes: Float32Array.from(rows.flatMap(normalized)),
    personScores: Float32Array.from(rows, (row) => person[row]),
    actionScores: Float32Array.from(rows.flatMap(scores)),
  };
}

/**
 * Makes the detections of each clip: the queries whose person score reaches the threshold, in their order, or else the three
 * with the best scores. Boxes are clipped to the image. `whwh` [B, 4] is the size of each clip before padding.
 */
export function toDetections(
  stage: RawPredictions,
  whwh: ArrayLike<number>,
  personThreshold: number,
): Detections[] {
  const results = tf.tidy(() =>
    predictionTensors(stage).map((tensor) => {
      return { content: tensor.dataSync() as Float32Array, shape: tensor.shape };
    }),
  );
  return allDetections(predictionsOf(results), whwh, personThreshold);
}

/** Like `toDetections`, from predictions on the host. */
export function allDetections(
  predictions: Predictions,
  whwh: ArrayLike<number>,
  personThreshold: number,
): Detections[] {
  const { person, numClips } = predictions;
  return Array.from({ length: numClips }, (_, b) => {
    const rows = rowsOf(predictions, b);
    const confident = confidentRows(predictions, rows, personThreshold);
    const kept = confident.length
      ? confident
      : rows.sort((p, q) => person[q] - person[p]).slice(0, FALLBACK_COUNT);
    return detectionsOf(predictions, kept, whwh[4 * b], whwh[4 * b + 1]);
  });
}
