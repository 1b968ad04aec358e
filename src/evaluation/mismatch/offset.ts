/** @file The offset, in seconds, with which most key frames of two lists match. */
import type { TimeMap } from '../../data/time.js';

/** Key frames of one video on each side. */
export interface SecondsPair {
  readonly predicted: readonly number[];
  readonly labelled: TimeMap<unknown>;
}

export interface Offset {
  readonly seconds: number;
  /** Number of key frames that match with this offset. */
  readonly fits: number;
}

/** Maximum number of differences that are counted; longer lists are sampled. */
const MAX_DIFFERENCES = 500_000;
/** Maximum number of offsets that are counted exactly. */
const MAX_CANDIDATES = 1000;
/** Fraction of the largest number of fits with which an offset is still returned. */
const NEARLY_BEST = 0.9;

/** The offsets with the largest numbers of fits. Offsets in `preferred` are always tried. */
export function bestOffsets(pairs: readonly SecondsPair[], preferred: readonly number[]): Offset[] {
  const counts = [...differences(pairs)].sort(([, a], [, b]) => b - a).slice(0, MAX_CANDIDATES);
  const frequent = counts.filter(([, times]) => 2 * times >= counts[0][1]);
  const candidates = new Set([...preferred, ...frequent.map(([offset]) => offset)]);
  const offsets = Array.from(candidates, (seconds) => ({ seconds, fits: countFits(pairs, seconds) }));
  const max = Math.max(0, ...offsets.map(({ fits }) => fits));
  return max === 0 ? [] : offsets.filter(({ fits }) => fits >= NEARLY_BEST * max);
}

/** Number of predicted key frames that have ground truth if the offset is added to their seconds. */
export function countFits(pairs: readonly SecondsPair[], offset: number): number {
  let fits = 0;
  for (const { predicted, labelled } of pairs) {
    for (const second of predicted) if (labelled.has(second + offset)) fits++;
  }
  return fits;
}

/** Difference between the seconds of both sides → how often it occurs. Long lists are sampled. */
function differences(pairs: readonly SecondsPair[]): Map<number, number> {
  const total = pairs.reduce((sum, { predicted, labelled }) => sum + predicted.length * labelled.size, 0);
  const step = Math.max(1, Math.ceil(total / MAX_DIFFERENCES));
  const counts = new Map<number, number>();
  // Counting across videos makes the sample include some of many short videos.
  let position = 0;
  for (const { predicted, labelled } of pairs) {
    for (const second of predicted) {
      if (position++ % step !== 0) continue;
      for (const other of labelled.keys()) {
        const difference = Math.round((other - second) * 1000) / 1000;
        counts.set(difference, (counts.get(difference) ?? 0) + 1);
      }
    }
  }
  return counts;
}
