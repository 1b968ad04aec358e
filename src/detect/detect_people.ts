/** @file The people that a model detects in the clips of a batch, and the points that it sampled for them. */
import type { Batch } from '../data/loading/collate.js';
import { isVisible } from '../evaluation/people.js';
import type { Size } from '../media/image_header.js';
import type { Detector } from '../model/detector.js';
import { forwardPass } from '../model/forward_pass.js';
import {
  confidentRows,
  type Detections,
  detectionsOf,
  type HostResult,
  type Predictions,
  predictionsOf,
  predictionTensors,
  rowsOf,
} from '../model/inference.js';

/** The points that one stage sampled for one person. */
export interface StageSamples {
  /** Box at the start of the stage; corners as fractions of the image. */
  readonly box: readonly number[];
  /** x, y as fractions of the image, and the level (0 is the finest map), one point after the other. */
  readonly points: Float32Array;
}

export interface FoundPeople {
  /** Detections above the threshold, in the order of the queries; may be empty. */
  readonly detections: Detections;
  /** Number of predictions that are left out because they are not finite. */
  readonly notFinite: number;
  /** Number of people who are left out because their box has no area. */
  readonly withoutArea: number;
  /** Person → stage; null if samples were not requested. */
  readonly samples: readonly (readonly StageSamples[])[] | null;
}

export interface PeopleOptions {
  readonly personThreshold: number;
  /** Whether to return sampling points. */
  readonly withSamples: boolean;
  /** Whether the engine may run clips of known sizes from captured scripts (ENGINE.REPLAY); default true. */
  readonly replay?: boolean;
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
 * Runs the model, which must be in evaluation mode. Unlike in an evaluation, the result is empty if no query reaches the threshold:
 * drawing the best three of bad detections would be misleading.
 */
export async function detectPeople(
  model: Detector,
  batch: Batch,
  { personThreshold, withSamples, replay = true }: PeopleOptions,
): Promise<FoundPeople[]> {
  const results = await forwardPass(model, batch, {
    key: withSamples ? 'people and samples' : 'people',
    replay,
    select: (stages, whwh) => [
      ...predictionTensors(stages[stages.length - 1]),
      ...(withSamples
        ? [...model.samplePoints(stages, whwh), ...stages.slice(0, -1).map(({ boxes }) => boxes)]
        : []),
    ],
  });
  const predictions = predictionsOf(results);
  const sampled = withSamples ? rawStages(results.slice(3), predictions.numQueries, batch.whwh) : null;
  return batch.clips.map((_, b) => {
    const [width, height] = [batch.whwh[4 * b], batch.whwh[4 * b + 1]];
    return peopleOfClip(predictions, b, { width, height }, { personThreshold, sampled });
  });
}

function peopleOfClip(
  predictions: Predictions,
  clip: number,
  size: Size,
  { personThreshold, sampled }: { personThreshold: number; sampled: readonly RawStage[] | null },
): FoundPeople {
  const { width, height } = size;
  const finite = rowsOf(predictions, clip).filter((row) => isFiniteRow(predictions, row));
  const confident = confidentRows(predictions, finite, personThreshold);
  const found = detectionsOf(predictions, confident, width, height);
  // A box outside the image has no area inside it.
  const kept = confident.filter((_, i) => isVisible(found.boxes, i));
  return {
    detections: kept.length === confident.length ? found : detectionsOf(predictions, kept, width, height),
    notFinite: predictions.numQueries - finite.length,
    withoutArea: confident.length - kept.length,
    samples: sampled && kept.map((row) => sampled.map((stage) => samplesOf(stage, row, size))),
  };
}

function isFiniteRow({ person, boxes, actions, numActions }: Predictions, row: number): boolean {
  return (
    Number.isFinite(person[row]) &&
    boxes.subarray(4 * row, 4 * row + 4).every(Number.isFinite) &&
    actions.subarray(row * numActions, (row + 1) * numActions).every(Number.isFinite)
  );
}

/**
 * The start boxes and the sampling points of each stage, from the points of all stages and the boxes of all but the last;
 * `sizes` are w, h, w, h of each clip.
 */
function rawStages(results: readonly HostResult[], numQueries: number, sizes: Float32Array): RawStage[] {
  const numStages = (results.length + 1) / 2;
  // Every query of the first stage starts from the whole clip.
  const whole = new Float32Array((sizes.length / 4) * numQueries * 4);
  for (let i = 0; i < whole.length; i += 4) {
    const clip = Math.floor(i / (4 * numQueries)) * 4;
    whole.set([0, 0, sizes[clip], sizes[clip + 1]], i);
  }
  return results.slice(0, numStages).map(({ content: points }, i) => {
    return { boxes: i === 0 ? whole : results[numStages + i - 1].content, points };
  });
}

function samplesOf({ boxes, points: all }: RawStage, row: number, { width, height }: Size): StageSamples {
  const box = Array.from(
    boxes.subarray(4 * row, 4 * row + 4),
    (value, side) => value / (side % 2 === 0 ? width : height),
  );
  const length = (4 * all.length) / boxes.length;
  const points = all.slice(row * length, (row + 1) * length);
  for (let i = 0; i < points.length; i += 3) {
    points[i] /= width;
    points[i + 1] /= height;
    points[i + 2] -= FINEST_LEVEL;
  }
  return { box, points };
}
