/** @file Running a model on clips. */
import { type Batch, sliceBatch } from '../data/loading/collate.js';
import { readableTime } from '../data/time.js';
import { DataError } from '../errors.js';
import type { Detector } from '../model/detector.js';
import { forwardPass } from '../model/forward_pass.js';
import { allDetections, type Detections, predictionsOf, predictionTensors } from '../model/inference.js';
import type { ClipDetections } from './types.js';

export interface DetectionOptions {
  /** MODEL.STM.PERSON_THRESHOLD. */
  readonly personThreshold: number;
  /** Whether the clips are mirrored (AVA.TEST_FORCE_FLIP); the detections are then mirrored back. */
  readonly mirrored: boolean;
  /** Whether the engine may run clips of known sizes from captured scripts (ENGINE.REPLAY); default true. */
  readonly replay?: boolean;
}

/**
 * The model's detections in each clip of a batch. Throws DataError that names the clips with predictions that are not
 * finite.
 */
export async function detectBatch(
  model: Detector,
  batch: Batch,
  { personThreshold, mirrored, replay = true }: DetectionOptions,
): Promise<ClipDetections[]> {
  const results = await forwardPass(model, batch, {
    key: 'detections',
    replay,
    select: (stages) => predictionTensors(stages[stages.length - 1]),
  });
  const detections = allDetections(predictionsOf(results), batch.whwh, personThreshold);
  const clips = batch.clips.map((clip, i) => ({ clip, detections: detections[i] }));
  const broken = clips.filter((entry) => !allFinite(entry.detections));
  if (broken.length > 0) {
    const names = broken.map(({ clip }) => `${clip.videoName} at second ${readableTime(clip.second)}`);
    throw new DataError(
      `the model's predictions are not finite for ${names.join('; ')}; its weights are broken, or the training diverged`,
    );
  }
  if (mirrored) {
    for (const [i, { boxes }] of detections.entries()) mirror(boxes, batch.whwh[4 * i]);
  }
  return clips;
}

function allFinite({ boxes, personScores, actionScores }: Detections): boolean {
  return [boxes, personScores, actionScores].every((values) => values.every(Number.isFinite));
}

/** Mirrors boxes, which are fractions of `width`, left to right: pixel x becomes width − 1 − x. */
function mirror(boxes: Float32Array, width: number): void {
  for (let i = 0; i < boxes.length; i += 4) {
    const [left, right] = [boxes[i], boxes[i + 2]];
    boxes[i] = (width - 1) / width - right;
    boxes[i + 2] = (width - 1) / width - left;
  }
}

export interface EvaluationProgress {
  /** Number of clips done so far. */
  readonly clips: number;
  readonly seconds: number;
}

export interface DetectAllOptions extends DetectionOptions {
  /** Clips whose activations are in memory together, by default those of a batch. */
  readonly clipsAtOnce?: number;
  /** Called after every batch. */
  progress?(done: EvaluationProgress): void;
  /** Ends the run after the current batch. */
  readonly signal?: AbortSignal;
}

/** Runs the model on all batches, in evaluation mode, and returns its detections; null after an abort. */
export async function detectAll(
  model: Detector,
  batches: AsyncIterable<Batch>,
  options: DetectAllOptions,
): Promise<ClipDetections[] | null> {
  const begin = performance.now();
  const found: ClipDetections[] = [];
  const wasTraining = model.training;
  model.train(false);
  try {
    for await (const batch of batches) {
      for (const piece of piecesOf(batch, options.clipsAtOnce))
        found.push(...(await detectBatch(model, piece, options)));
      options.progress?.({ clips: found.length, seconds: (performance.now() - begin) / 1000 });
      if (options.signal?.aborted) return null;
    }
  } finally {
    model.train(wasTraining);
  }
  return found;
}

function piecesOf(batch: Batch, size = batch.shape[0]): Batch[] {
  const count = batch.shape[0];
  return Array.from({ length: Math.ceil(count / size) }, (_, i) =>
    sliceBatch(batch, { first: i * size, count: Math.min(size, count - i * size) }),
  );
}
