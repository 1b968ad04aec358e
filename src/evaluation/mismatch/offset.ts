/** @file The whole number of seconds that brings most key frames of two lists together. */

/** Key frames of one video on either side. */
export interface SecondsPair {
  readonly predicted: readonly number[];
  readonly labelled: ReadonlySet<number>;
}

export interface Offset {
  readonly seconds: number;
  /** Key frames that are in both lists with it. */
  readonly fits: number;
}

/** Differences that are counted; longer lists are thinned out. */
const MAX_DIFFERENCES = 500_000;
/** Offsets that are counted exactly. */
const MAX_CANDIDATES = 1000;
/** An offset with this part of the largest number of fits may be the right one too. */
const NEARLY_BEST = 0.9;

/** The offsets with the most fits, and those that come near; an offset in `preferred` is always looked at. */
export function bestOffsets(pairs: readonly SecondsPair[], preferred: readonly number[]): Offset[] {
  const counts = [...differences(pairs)].sort(([, a], [, b]) => b - a).slice(0, MAX_CANDIDATES);
  const frequent = counts.filter(([, times]) => 2 * times >= counts[0][1]);
  const candidates = new Set([...preferred, ...frequent.map(([offset]) => offset)]);
  const offsets = Array.from(candidates, (seconds) => ({ seconds, fits: countFits(pairs, seconds) }));
  const most = Math.max(0, ...offsets.map(({ fits }) => fits));
  return most === 0 ? [] : offsets.filter(({ fits }) => fits >= NEARLY_BEST * most);
}

/** Key frames of the predictions that have ground truth if so much is added to their seconds. */
export function countFits(pairs: readonly SecondsPair[], offset: number): number {
  let fits = 0;
  for (const { predicted, labelled } of pairs) {
    for (const second of predicted) if (labelled.has(second + offset)) fits++;
  }
  return fits;
}

/** How often each difference occurs between the seconds of two sides, from a part of the seconds where there are many. */
function differences(pairs: readonly SecondsPair[]): Map<number, number> {
  const total = pairs.reduce((sum, { predicted, labelled }) => sum + predicted.length * labelled.size, 0);
  const step = Math.max(1, Math.ceil(total / MAX_DIFFERENCES));
  const counts = new Map<number, number>();
  // Counted across videos, so that of many short ones some are looked at.
  let place = 0;
  for (const { predicted, labelled } of pairs) {
    for (const second of predicted) {
      if (place++ % step !== 0) continue;
      for (const other of labelled) counts.set(other - second, (counts.get(other - second) ?? 0) + 1);
    }
  }
  return counts;
}
