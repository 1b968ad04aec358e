/** @file The people that a model sees in the clips of a batch, and where it looked for them. */
import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/collate.js';
import { finishWork } from '../engine/ahead.js';
import type { Detector, StagePrediction } from '../model/detector.js';
import { clipBox, type Detections } from '../model/inference.js';

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
  /** How many predictions are left out because they are not finite. */
  readonly notFinite: number;
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
  const last = stages[stages.length - 1];
  const [B, Q, K] = last.actions.shape;
  const person = read(() => tf.softmax(last.logits).slice([0, 0, 0], [B, Q, 1]));
  const actions = read(() => last.actions.sigmoid());
  const boxes = read(() => last.boxes.clone());
  const sampled = withSamples ? readSamples(model, stages, whwh, batch.whwh, Q) : null;
  tf.dispose([video, whwh, stages]);
  await finishWork();

  return batch.clips.map((_, b) => {
    const [w, h] = [batch.whwh[4 * b], batch.whwh[4 * b + 1]];
    const corners = (all: Float32Array, row: number) => Array.from(all.subarray(4 * row, 4 * row + 4));
    const scores = (row: number) => actions.subarray(row * K, (row + 1) * K);
    const rows = Array.from({ length: Q }, (_, q) => b * Q + q);
    const finite = rows.filter((row) =>
      [person[row], ...corners(boxes, row), ...scores(row)].every(Number.isFinite),
    );
    // Scores are float32, and so is the threshold that PyTorch compares them with.
    const kept = finite.filter((row) => person[row] >= Math.fround(threshold));
    const fractions = (box: readonly number[]) => box.map((value, side) => value / (side % 2 === 0 ? w : h));
    return {
      detections: {
        boxes: Float32Array.from(kept.flatMap((row) => fractions(clipBox(corners(boxes, row), w, h)))),
        personScores: Float32Array.from(kept, (row) => person[row]),
        actionScores: Float32Array.from(kept.flatMap((row) => [...scores(row)])),
      },
      notFinite: Q - finite.length,
      samples:
        sampled &&
        kept.map((row) =>
          sampled.map((stage) => ({
            box: fractions(corners(stage.boxes, row)),
            points: pointsOf(stage.points, row, B * Q, w, h),
          })),
        ),
    };
  });
}

function read(compute: () => tf.Tensor): Float32Array {
  const tensor = tf.tidy(compute);
  const data = tensor.dataSync() as Float32Array;
  tensor.dispose();
  return data;
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
    const boxes = i === 0 ? whole : read(() => stages[i - 1].boxes.clone());
    const data = read(() => stage.clone());
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
