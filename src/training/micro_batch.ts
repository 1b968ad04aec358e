/** @file Micro-batches: pieces of a batch that are computed one after the other (gradient accumulation). */
import type { Batch } from '../data/loading/collate.js';
import type { ClipRange } from '../model/dropout.js';

/** Consecutive clips of this process's batch. */
export interface MicroBatch extends ClipRange {
  /** Their place in the batch that all processes share. */
  readonly inWhole: ClipRange;
}

/**
 * Splits a batch into micro-batches of `size` clips; the last may have fewer clips. The clips of each are consecutive in the
 * whole batch, too.
 */
export function microBatches(
  { shape: [batchSize], whole }: Pick<Batch, 'shape' | 'whole'>,
  size: number,
): MicroBatch[] {
  return Array.from({ length: Math.ceil(batchSize / size) }, (_, i) => {
    const first = i * size;
    const count = Math.min(size, batchSize - first);
    return {
      first,
      count,
      batchSize,
      inWhole: {
        first: whole?.places[first] ?? first,
        count,
        batchSize: whole?.boxCounts.length ?? batchSize,
      },
    };
  });
}
