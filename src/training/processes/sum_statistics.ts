/** @file Statistics of the clips of all processes, from those of each. */
import type { Communicator } from '../../distributed/communicator.js';
import type { BatchNorm } from '../../nn/batch_norm.js';
import type { HostStatistics } from '../../nn/batch_statistics.js';

/**
 * Joins the statistics of all processes, and of all micro-batches, to one for each norm. All processes must call this, with the
 * same norms; they get the same results.
 */
export async function sumStatistics(
  statistics: readonly HostStatistics[],
  communicator: Communicator,
): Promise<HostStatistics[]> {
  const norms = [...new Set(statistics.map(({ norm }) => norm))];
  if (norms.length === 0) return [];
  const sums = Float64Array.from(norms.flatMap((norm) => moments(norm, statistics)));
  await communicator.allReduce(sums, 'sum');
  let place = 0;
  return norms.map((norm) => {
    const channels = norm.weight.size;
    const [count, ...both] = sums.subarray(place, place + 1 + 2 * channels);
    place += 1 + 2 * channels;
    const mean = both.slice(0, channels).map((sum) => sum / count);
    const variance = both.slice(channels).map((sum, c) => Math.max(0, sum / count - mean[c] ** 2));
    return { norm, count, mean: Float32Array.from(mean), variance: Float32Array.from(variance) };
  });
}

/** The number of values of a norm, and their sums and sums of squares for each channel. */
function moments(norm: BatchNorm, statistics: readonly HostStatistics[]): number[] {
  const own = statistics.filter((found) => found.norm === norm);
  const total = (of: (found: HostStatistics) => number) => own.reduce((sum, found) => sum + of(found), 0);
  const channels = [...own[0].mean.keys()];
  return [
    total(({ count }) => count),
    ...channels.map((c) => total(({ count, mean }) => count * mean[c])),
    ...channels.map((c) => total(({ count, mean, variance }) => count * (variance[c] + mean[c] ** 2))),
  ];
}
