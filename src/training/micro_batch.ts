/** @file Micro-batches: pieces of a batch that are computed one after the other (gradient accumulation). */
import type { Batch } from '../data/loading/collate.js';
import type { MicroBatch } from '../model/dropout.js';

/** Splits a batch of `batchSize` clips into micro-batches of `microBatchSize`; the last may have fewer clips. */
export function microBatches(batchSize: number, microBatchSize: number): MicroBatch[] {
  return Array.from({ length: Math.ceil(batchSize / microBatchSize) }, (_, i) => {
    const first = i * microBatchSize;
    return { first, count: Math.min(microBatchSize, batchSize - first), batchSize };
  });
}

/** Returns a view of the clips of a micro-batch, padded as they are in the batch. */
export function sliceBatch(batch: Batch, { first, count }: MicroBatch): Batch {
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
