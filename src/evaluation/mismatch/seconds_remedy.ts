/** @file Remedies for key frames whose seconds are counted differently: an offset, or a division into seconds. */
import { AVA_FIRST_SECOND, AVA_LAST_SECOND, isSameTime, TimeMap } from '../../data/time.js';
import { imageKey } from '../ava_csv.js';
import type { Comparison, SideName } from './comparison.js';
import { bestOffsets, countFits, type Offset, type SecondsPair } from './offset.js';
import { type KeyPair, trialOf, tryReading } from './trial.js';

export const MILLISECONDS = 1000;
/** Units per second that files often count in: milliseconds, and frames at common rates. */
const COMMON_UNITS = [MILLISECONDS, 30, 25, 24, 60, 50, 15, 12, 10, 29.97, 23.976, 59.94, 48, 20, 120, 100];
/** Number of key frames whose boxes decide among offsets that fit equally well. */
const DECIDING_KEY_FRAMES = 20;
/** Minimum mean overlap of boxes that decides. */
const DECIDING_OVERLAP = 0.3;
/** Factor by which it must exceed the overlap with the offset that is preferred otherwise. */
const CLEARLY_LARGER = 1.2;

/** A video that both sides have. */
export interface VideoPair extends SecondsPair {
  readonly predictedName: string;
  readonly labelledName: string;
  /** Number of key frames in common. */
  readonly fits: number;
}

/** Units, other than seconds, in which a side counts time. */
export interface Units {
  readonly side: SideName;
  readonly perSecond: number;
  /** The number of the first frame. */
  readonly first: 0 | 1;
  /** Whether times between two seconds count, because the other side has some. */
  readonly fractions: boolean;
}

/** A way to bring the seconds of both sides together. */
export interface Remedy {
  /** Null if both sides are in seconds. */
  readonly units: Units | null;
  /** Added to the predictions. */
  readonly offset: number;
  readonly fits: number;
}

export function sumOf(pairs: readonly VideoPair[], value: (pair: VideoPair) => number): number {
  return pairs.reduce((sum, pair) => sum + value(pair), 0);
}

/** Number of key frames that could match: those of the side with fewer, video by video. */
export function smaller(pairs: readonly VideoPair[]): number {
  return sumOf(pairs, ({ predicted, labelled }) => Math.min(predicted.length, labelled.size));
}

/** Finds a remedy with which at least half of the key frames match, and more than twice as many as without it. */
export function findRemedy(comparison: Comparison, pairs: readonly VideoPair[]): Remedy | null {
  const now = sumOf(pairs, ({ fits }) => fits);
  const enough = Math.max(smaller(pairs) / 2, 2 * now + 1);
  const offset = withOffset(comparison, pairs, null);
  const units = inOtherUnits(comparison, pairs);
  const better = !offset || (units && isBetter(units, offset, pairs)) ? units : offset;
  return better && better.fits >= enough ? better : null;
}

/** Whether units explain the numbers better than an offset. Between equal remedies, seconds beyond AVA's range decide for units. */
function isBetter(units: Remedy, offset: Remedy, pairs: readonly VideoPair[]): boolean {
  if (units.fits !== offset.fits) return units.fits > offset.fits;
  const [predicted, labelled] = ranges(pairs);
  return (units.units!.side === 'predictions' ? predicted : labelled)[1] > AVA_LAST_SECOND;
}

/** The best offset for seconds in the given units. */
function withOffset(comparison: Comparison, pairs: readonly VideoPair[], units: Units | null): Remedy | null {
  const converted = units ? pairs.map((pair) => convert(pair, units)) : pairs;
  const offsets = bestOffsets(converted, [0, AVA_FIRST_SECOND]).sort(byPreference);
  if (offsets.length === 0) return null;
  const [first] = offsets;
  const remedy = ({ seconds, fits }: Offset): Remedy => ({ units, offset: seconds, fits });
  if (offsets.length === 1 || units) return remedy(first);
  const overlap = (offset: Offset) => {
    const keyPairs = pickKeyPairs(pairs, remedy(offset), DECIDING_KEY_FRAMES);
    return tryReading(trialOf(comparison, keyPairs)).overlap;
  };
  const overlaps = offsets.map(overlap);
  const largest = Math.max(...overlaps);
  const clear = largest >= DECIDING_OVERLAP && largest > CLEARLY_LARGER * overlaps[0];
  return remedy(clear ? offsets[overlaps.indexOf(largest)] : first);
}

/** Sorts offsets by the number of fits; then 0, AVA's second of frame 0, and small ones come first. */
function byPreference(a: Offset, b: Offset): number {
  const rank = ({ seconds }: Offset) => (seconds === 0 ? 0 : seconds === AVA_FIRST_SECOND ? 1 : 2);
  return b.fits - a.fits || rank(a) - rank(b) || Math.abs(a.seconds) - Math.abs(b.seconds);
}

/** The best remedy that divides the numbers of one side. */
function inOtherUnits(comparison: Comparison, pairs: readonly VideoPair[]): Remedy | null {
  let best: Remedy | null = null;
  const goal = smaller(pairs);
  const fractions = {
    predictions: pairs.some(({ labelled }) => hasFractions(labelled.keys())),
    'ground truth': pairs.some(({ predicted }) => hasFractions(predicted)),
  };
  for (const perSecond of new Set([...COMMON_UNITS, ...ratios(pairs)])) {
    for (const side of ['predictions', 'ground truth'] as const) {
      for (const first of [0, 1] as const) {
        const units = { side, perSecond, first, fractions: fractions[side] };
        const converted = pairs.map((pair) => convert(pair, units));
        // If most numbers are not whole seconds in these units, the units are wrong.
        if (2 * smaller(converted) < goal) continue;
        const plain = { units, offset: 0, fits: countFits(converted, 0) };
        const shifted = plain.fits === goal ? plain : withOffset(comparison, pairs, units);
        const found = shifted && shifted.fits > plain.fits ? shifted : plain;
        // Units without an offset are the simpler explanation.
        const isMore = best === null || found.fits > best.fits;
        const isSimpler = best?.fits === found.fits && best.offset !== 0 && found.offset === 0;
        if (found.fits > 0 && (isMore || isSimpler)) best = found;
      }
    }
  }
  return best;
}

function hasFractions(seconds: Iterable<number>): boolean {
  for (const second of seconds) if (!Number.isInteger(second)) return true;
  return false;
}

/** Units per second that the ends of both ranges suggest. */
function ratios(pairs: readonly VideoPair[]): number[] {
  const [[minA, maxA], [minB, maxB]] = ranges(pairs);
  const found = [maxA / maxB, maxB / maxA, minA / minB, minB / minA].map(Math.round);
  return found.filter((ratio) => Number.isFinite(ratio) && ratio > 1);
}

/** Converts the numbers of one side to seconds; numbers that stand for no time are left out. */
function convert(pair: VideoPair, units: Units): VideoPair {
  return units.side === 'predictions'
    ? { ...pair, predicted: [...bySecond(pair.predicted, units).keys()] }
    : { ...pair, labelled: bySecond(pair.labelled.keys(), units) };
}

/** The time that a number stands for; null for a number between two seconds, unless fractions count. */
function timeOf(number: number, { perSecond, first, fractions }: Units): number | null {
  const time = (number - first) / perSecond;
  const whole = Math.round(time);
  // Frame numbers are rounded: at 29.97 frames per second, second 902 is frame 27033.
  const isWhole =
    perSecond === MILLISECONDS ? isSameTime(time, whole) : Math.round(whole * perSecond) === number - first;
  if (isWhole) return whole;
  return fractions ? time : null;
}

/** Pairs of key frames that match with the remedy; evenly spaced ones if there are more than the limit. */
export function pickKeyPairs(pairs: readonly VideoPair[], remedy: Remedy | null, limit: number): KeyPair[] {
  const total = remedy ? remedy.fits : sumOf(pairs, ({ fits }) => fits);
  const step = Math.max(1, Math.ceil(total / limit));
  const picked: KeyPair[] = [];
  let position = 0;
  for (const pair of pairs) {
    const labelled =
      remedy?.units?.side === 'ground truth' ? bySecond(pair.labelled.keys(), remedy.units) : null;
    for (const second of pair.predicted) {
      const other = counterpart(second, pair, labelled, remedy);
      if (other === undefined || position++ % step !== 0) continue;
      picked.push([imageKey(pair.predictedName, second), imageKey(pair.labelledName, other)]);
    }
  }
  return picked;
}

/** The number in the ground truth that corresponds to a number in the predictions, if there is one. */
function counterpart(
  number: number,
  pair: VideoPair,
  labelled: TimeMap<number> | null,
  remedy: Remedy | null,
): number | undefined {
  const units = remedy?.units;
  const real = units?.side === 'predictions' ? timeOf(number, units) : number;
  if (real === null) return undefined;
  const second = real + (remedy?.offset ?? 0);
  if (labelled) return labelled.get(second);
  return pair.labelled.timeOf(second);
}

/** Time → the number that stands for it. */
function bySecond(numbers: Iterable<number>, units: Units): TimeMap<number> {
  const found = new TimeMap<number>();
  for (const number of numbers) {
    const second = timeOf(number, units);
    if (second !== null) found.set(second, number);
  }
  return found;
}

/** The smallest and largest second of the predictions, and those of the ground truth. */
export function ranges(pairs: readonly VideoPair[]): [[number, number], [number, number]] {
  const ends = (lists: Iterable<number>[]): [number, number] => {
    let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const list of lists) {
      for (const second of list) {
        smallest = Math.min(smallest, second);
        largest = Math.max(largest, second);
      }
    }
    return [smallest, largest];
  };
  return [ends(pairs.map(({ predicted }) => predicted)), ends(pairs.map(({ labelled }) => labelled.keys()))];
}
