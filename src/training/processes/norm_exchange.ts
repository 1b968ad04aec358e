/** @file What the batch norms of several processes compute together, so that they normalise with the clips of all. */
import type { Communicator } from '../../distributed/communicator.js';
import type { BatchNorm, NormExchange } from '../../nn/batch_norm.js';
import type { HostStatistics } from '../../nn/batch_statistics.js';

/**
 * The exchanges of one forward and one backward pass. All processes must do the same ones in the same order: as a pass is recorded,
 * where operations need the results at once, or as it is replayed.
 */
export class ProcessNormExchange implements NormExchange {
  /** The statistics of all processes, in the order of the norms in the forward pass. */
  readonly statistics: HostStatistics[] = [];
  /** The norms in that order, each with its number of positions in this process. */
  readonly own: { readonly norm: BatchNorm; readonly count: number }[] = [];
  /** How often `sums` was called. */
  numSums = 0;

  constructor(private readonly communicator: Communicator) {}

  moments(norm: BatchNorm, own: Float32Array, count: number): Float32Array {
    const sums = momentSums(own, count);
    this.communicator.allReduceNow(sums, 'sum');
    return this.#taken(norm, count, sums);
  }

  sums(own: Float32Array): Float32Array {
    this.numSums++;
    const all = Float64Array.from(own);
    this.communicator.allReduceNow(all, 'sum');
    return Float32Array.from(all);
  }

  /** Does what `moments` does, without blocking this thread. */
  async momentsLater(norm: BatchNorm, own: Float32Array, count: number): Promise<Float32Array> {
    const sums = momentSums(own, count);
    await this.communicator.allReduce(sums, 'sum');
    return this.#taken(norm, count, sums);
  }

  /** Does what `sums` does, without blocking this thread. */
  async sumsLater(own: Float32Array): Promise<Float32Array> {
    const all = Float64Array.from(own);
    await this.communicator.allReduce(all, 'sum');
    return Float32Array.from(all);
  }

  #taken(norm: BatchNorm, ownCount: number, [count, ...sums]: Float64Array): Float32Array {
    const channels = sums.length / 2;
    const mean = Float32Array.from(sums.slice(0, channels), (sum) => sum / count);
    const variance = Float32Array.from(sums.slice(channels), (sum, c) =>
      Math.max(0, sum / count - (sums[c] / count) ** 2),
    );
    this.own.push({ norm, count: ownCount });
    this.statistics.push({ norm, mean, variance, count });
    const share = new Float32Array(channels).fill(1 / count);
    return Float32Array.of(...mean, ...variance, ...share);
  }
}

/** The number of positions, and for each channel their sum and the sum of their squares, from means and biased variances. */
function momentSums(own: Float32Array, count: number): Float64Array {
  const channels = own.length / 2;
  const mean = own.subarray(0, channels);
  const squares = Float64Array.from(
    own.subarray(channels),
    (variance, c) => count * (variance + mean[c] ** 2),
  );
  return Float64Array.of(count, ...Float64Array.from(mean, (value) => count * value), ...squares);
}
