/** @file A batch in parts that are computed one after the other: SOLVER.ACCUMULATE. */
import type { Batch } from '../data/loading/collate.js';
import type { MicroBatch } from '../model/dropout.js';

/** The parts of a batch of `batchSize` clips, `atOnce` clips each; the last may have fewer. */
export function partsOf(batchSize: number, atOnce: number): MicroBatch[] {
  return Array.from({ length: Math.ceil(batchSize / atOnce) }, (_, i) => {
    const first = i * atOnce;
    return { first, count: Math.min(atOnce, batchSize - first), batchSize };
  });
}

/** These clips of a batch, padded as they are in it; a view. */
export function clipsOf(batch: Batch, { first, count }: MicroBatch): Batch {
  const { video, shape, whwh, boxes, labels, clips } = batch;
  const [B, ...clipShape] = shape;
  const size = video.length / B;
  const end = first + count;
  return {
    video: video.subarray(first * size, end * size),
    shape: [count, ...clipShape],
    whwh: whwh.subarray(4 * first, 4 * end),
    boxes: boxes.slice(first, end),
    labels: labels.slice(first, end),
    clips: clips.slice(first, end),
  };
}
