/** @file Dividing the videos of a data set into those for training and those for evaluation. */
import { ConfigError } from '../errors.js';
import { Rng } from '../util/random.js';
import { firstNames } from '../util/text.js';

export interface SplitOptions {
  /** Names of the videos for evaluation. */
  readonly valVideos?: readonly string[];
  /** Fraction of the videos for evaluation, drawn at random. */
  readonly valFraction?: number;
  readonly seed?: number;
}

/** Names of the videos for evaluation; null if the options do not divide them. Throws ConfigError if one part would be empty. */
export function valVideosOf(
  names: readonly string[],
  { valVideos, valFraction, seed = 0 }: SplitOptions,
): Set<string> | null {
  if (valVideos === undefined && valFraction === undefined) return null;
  const chosen = valVideos === undefined ? drawn(names, valFraction!, seed) : new Set(valVideos);
  for (const name of chosen) {
    if (!names.includes(name))
      throw new ConfigError(
        `--val-videos: there is no video ${name}; the videos are ${firstNames(names, MAX_NAMES)}`,
      );
  }
  if (chosen.size === names.length) {
    const flag = valVideos === undefined ? '--val-fraction' : '--val-videos';
    throw new ConfigError(
      `${flag}: no video is left for training; there are ${names.length} videos: ${firstNames(names, MAX_NAMES)}`,
    );
  }
  return chosen;
}

function drawn(names: readonly string[], fraction: number, seed: number): Set<string> {
  const number = Math.max(1, Math.round(fraction * names.length));
  // Sorted first, so that the choice does not depend on the order of files.
  const sorted = [...names].sort();
  const order = Rng.forName(seed, 'validation videos').permutation(sorted.length);
  return new Set(order.slice(0, number).map((index) => sorted[index]));
}

/** Maximum number of names in a message. */
const MAX_NAMES = 10;
