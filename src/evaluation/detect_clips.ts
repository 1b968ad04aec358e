/** @file What a model finds in clips. */
import * as tf from '@tensorflow/tfjs';
import type { Batch } from '../data/collate.js';
import { finishWork } from '../engine/ahead.js';
import { DataError } from '../errors.js';
import type { Detector } from '../model/detector.js';
import { type Detections, toDetections } from '../model/inference.js';
import type { ClipDetections } from './types.js';

/**
 * The model's detections in every clip of a batch, in its order. Throws DataError that names the clips with a
 * prediction that is not finite.
 */
export async function detectBatch(
  model: Detector,
  batch: Batch,
  personThreshold: number,
): Promise<ClipDetections[]> {
  const video = tf.tensor(batch.video, [...batch.shape]);
  const whwh = tf.tensor2d(batch.whwh, [batch.clips.length, 4]);
  const stages = model.forward(video, whwh);
  const detections = toDetections(stages[stages.length - 1], batch.whwh, personThreshold);
  tf.dispose([video, whwh, stages]);
  await finishWork();
  const clips = batch.clips.map((clip, i) => ({ clip, detections: detections[i] }));
  const broken = clips.filter((entry) => !allFinite(entry.detections));
  if (broken.length > 0) {
    const names = broken.map(({ clip }) => `${clip.videoName} at second ${clip.second}`);
    throw new DataError(
      `the model's predictions are not finite for ${names.join('; ')}; its weights are broken, or the training diverged`,
    );
  }
  return clips;
}

function allFinite({ boxes, personScores, actionScores }: Detections): boolean {
  return [boxes, personScores, actionScores].every((values) => values.every(Number.isFinite));
}

export interface EvaluationProgress {
  /** Clips done so far. */
  readonly clips: number;
  readonly seconds: number;
}

/**
 * Runs the model over all batches, in evaluation mode, and returns its detections; null where `shouldStop` ended it
 * before. `progress` is told after every batch.
 */
export async function detectAll(
  model: Detector,
  batches: AsyncIterable<Batch>,
  personThreshold: number,
  { progress, shouldStop }: { progress?(done: EvaluationProgress): void; shouldStop?(): boolean } = {},
): Promise<ClipDetections[] | null> {
  const begin = performance.now();
  const found: ClipDetections[] = [];
  const wasTraining = model.training;
  model.train(false);
  try {
    for await (const batch of batches) {
      found.push(...(await detectBatch(model, batch, personThreshold)));
      progress?.({ clips: found.length, seconds: (performance.now() - begin) / 1000 });
      if (shouldStop?.()) return null;
    }
  } finally {
    model.train(wasTraining);
  }
  return found;
}
