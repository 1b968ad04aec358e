/** @file The people that a model sees in the clips of a batch, and where it looked for them. */
import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/loading/collate.js';
import { sync } from '../engine/lazy_hints.js';
import { isVisible } from '../evaluation/people.js';
import type { Detector, StagePrediction } from '../model/detector.js';
import { confidentRows, type Detections, detectionsOf, readPredictions, rowsOf } from '../model/inference.js';

/** Where one stage sampled for one person. */
export interface StageSamples {
  /** The box that the stage started from; corners as fractions of the picture. */
  readonly box: readonly number[];
  /** x, y as fractions of the picture, and the level (0 is the finest map), one after the other. */
  readonly points: Float32Array;
}

export interface FoundPeople {
  /** Those above the threshold, in the order of the queries: none may be. */
  readonly detections: Detections;
  /** How many predictions are left out because they are not finite, and how many because their box has no area. */
  readonly notFinite: number;
  readonly withoutArea: number;
  /** Person → stage, where it was asked for. */
  readonly samples: readonly (readonly StageSamples[])[] | null;
}

/** The level whose map has the finest stride; see `levelWeights`. */
const FINEST_LEVEL = 3;

interface RawStage {
  /** Corners in pixels, [B, Q, 4]. */
  readonly boxes: Float32Array;
  /** [B, Q, G·P, 3]. */
  readonly points: Float32Array;
}

/**
 * Runs the model, which is in evaluation mode. Unlike evaluation it puts out nothing where nobody reaches the threshold: the
 * best three of no good ones are what a picture should not show.
 */
export async function findPeople(
  model: Detector,
  batch: Batch,
  threshold: number,
  withSamples: boolean,
): Promise<FoundPeople[]> {
  const video = tf.tensor(batch.video, [...batch.shape]);
  const whwh = tf.tensor2d(batch.whwh, [batch.clips.length, 4]);
  const stages = model.forward(video, whwh);
  const predictions = readPredictions(stages[stages.length - 1]);
  const { numClips, numQueries, numActions, person, actions, boxes } = predictions;
  const sampled = withSamples ? readSamples(model, stages, whwh, batch.whwh, numQueries) : null;
  tf.dispose([video, whwh, stages]);
  await sync();

  const hasFinite = (row: number) =>
    Number.isFinite(person[row]) &&
    boxes.subarray(4 * row, 4 * row + 4).every(Number.isFinite) &&
    actions.subarray(row * numActions, (row + 1) * numActions).every(Number.isFinite);
  return batch.clips.map((_, b) => {
    const [w, h] = [batch.whwh[4 * b], batch.whwh[4 * b + 1]];
    const finite = rowsOf(predictions, b).filter(hasFinite);
    const confident = confidentRows(predictions, finite, threshold);
    const found = detectionsOf(predictions, confident, w, h);
    // Boxes beside the picture have no area within it.
    const kept = confident.filter((_, i) => isVisible(found.boxes, i));
    const startBox = (all: Float32Array, row: number) =>
      Array.from(all.subarray(4 * row, 4 * row + 4), (value, side) => value / (side % 2 === 0 ? w : h));
    return {
      detections: kept.length === confident.length ? found : detectionsOf(predictions, kept, w, h),
      notFinite: numQueries - finite.length,
      withoutArea: confident.length - kept.length,
      samples:
        sampled &&
        kept.map((row) =>
          sampled.map((stage) => ({
            box: startBox(stage.boxes, row),
            points: pointsOf(stage.points, row, numClips * numQueries, w, h),
          })),
        ),
    };
  });
}

function readSamples(
  model: Detector,
  stages: readonly StagePrediction[],
  whwh: tf.Tensor,
  sizes: Float32Array,
  Q: number,
): RawStage[] {
  const points = model.samplePoints(stages, whwh);
  // Every query of the first stage starts from the whole clip.
  const whole = new Float32Array((sizes.length / 4) * Q * 4);
  for (let i = 0; i < whole.length; i += 4) {
    const clip = Math.floor(i / (4 * Q)) * 4;
    whole.set([0, 0, sizes[clip], sizes[clip + 1]], i);
  }
  return points.map((stage, i) => {
    const boxes = i === 0 ? whole : (stages[i - 1].boxes.dataSync() as Float32Array);
    const data = stage.dataSync() as Float32Array;
    stage.dispose();
    return { boxes, points: data };
  });
}

function pointsOf(all: Float32Array, row: number, rows: number, w: number, h: number): Float32Array {
  const length = all.length / rows;
  const points = all.slice(row * length, (row + 1) * length);
  for (let i = 0; i < points.length; i += 3) {
    points[i] /= w;
    points[i + 1] /= h;
    points[i + 2] -= FINEST_LEVEL;
  }
  return points;
}
