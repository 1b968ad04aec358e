/** @file Statistics of batches on their way from a forward pass to the running statistics. */
import { tf } from '../engine/tfjs.js';
import { BatchNorm, type BatchStatistics } from './batch_norm.js';
import type { Module } from './module.js';

/** Statistics of one norm on the host. */
export interface HostStatistics {
  readonly norm: BatchNorm;
  readonly mean: Float32Array;
  /** Biased. */
  readonly variance: Float32Array;
  /** Number of positions. */
  readonly count: number;
}

/** A norm, by its number among those of the model, and the number of positions of its statistics. */
export type NormCount = readonly [norm: number, count: number];

/** The batch norms of a model, in the order of its state dict. */
export function batchNorms(model: Module): BatchNorm[] {
  return [...model.modules()].filter((module) => module instanceof BatchNorm);
}

/** Joins statistics to one tensor, which takes one read. Disposes them. Returns null if there are none. */
export function joinStatistics(found: readonly BatchStatistics[]): tf.Tensor1D | null {
  if (found.length === 0) return null;
  const parts = found.flatMap(({ mean, variance }) => [mean, variance]) as tf.Tensor1D[];
  const joined = tf.concat1d(parts);
  tf.dispose(parts);
  return joined;
}

/** Describes statistics, for `splitStatistics`. */
export function countsOf(
  norms: readonly BatchNorm[],
  found: readonly Pick<BatchStatistics, 'norm' | 'count'>[],
): NormCount[] {
  return found.map(({ norm, count }) => [norms.indexOf(norm), count] as const);
}

/** Takes the numbers of joined statistics apart. */
export function splitStatistics(
  numbers: Float32Array,
  norms: readonly BatchNorm[],
  counts: readonly NormCount[],
): HostStatistics[] {
  let place = 0;
  const next = (size: number) => {
    place += size;
    return numbers.slice(place - size, place);
  };
  return counts.map(([index, count]) => {
    const norm = norms[index];
    const channels = norm.weight.size;
    return { norm, mean: next(channels), variance: next(channels), count };
  });
}

/** Takes the statistics of a step into the running ones. */
export function trackStatistics(statistics: readonly HostStatistics[]): void {
  for (const { norm, mean, variance, count } of statistics) norm.track(mean, variance, count);
}
