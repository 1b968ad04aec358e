/**
 * @file What does not fit between predictions and ground truth, in sentences. The official number is 0 then, or too small,
 * and says nothing about it.
 */
import { imageKey } from '../ava_csv.js';
import type { RowSummary } from '../row_summary.js';
import { fitBoxes } from './boxes.js';
import { type Comparison, rangeText, type Side, share } from './comparison.js';
import { exclusionSentence } from './exclusions.js';
import { fitIds, unknownIdSentence } from './ids.js';
import { fitVideos } from './names.js';
import { labelNameSentence, personSentence, repeatedSentence, sameFileSentence } from './repeats.js';
import { actionSentence, emptySentence, fractionSentence, scoreSentence, swapSentence } from './rows.js';
import { fitSeconds } from './seconds.js';

export type { Comparison, Side } from './comparison.js';

/** Key frames whose boxes are compared. */
const COMPARED_KEY_FRAMES = 200;

/**
 * At most one sentence for each kind of misfit. Each search takes the remedies of those before for granted: boxes are
 * compared at the key frames that would be the same if names and seconds were mended.
 */
export function findMismatches(comparison: Comparison): string[] {
  const { predictions, truth, excluded } = comparison;
  const sides = [predictions, truth];
  const one = (sentence: string | null) => (sentence === null ? [] : [sentence]);
  const nothing = one(emptySentence(sides));
  if (truth.summary.rows === 0) return nothing;
  if (predictions.summary.rows === 0) return [...nothing, ...truthMismatches(comparison)];
  const swapped = swapSentence(comparison);
  const videos = fitVideos(comparison);
  const seconds = fitSeconds(comparison, videos.pairs, COMPARED_KEY_FRAMES);
  return [
    ...nothing,
    ...one(swapped),
    ...one(videos.warning),
    ...one(seconds.warning),
    ...one(fractionSentence(sides)),
    ...fitBoxes(comparison, seconds.keyPairs),
    ...one(actionSentence(truth)),
    ...fitIds(comparison, seconds.keyPairs),
    ...one(exclusionSentence(sides, excluded)),
    ...one(swapped === null ? scoreSentence(predictions) : null),
  ];
}

/** Returns a sentence for each kind of thing that is given twice, or contradicts another of its file. */
export function findRepeats({ predictions, truth, labels, secondOffset }: Comparison): string[] {
  if (truth.summary.rows === 0) return [];
  const sameFile = sameFileSentence(truth, predictions);
  const sentences = [
    sameFile,
    // Of a file that is given twice all rows repeat.
    repeatedSentence(sameFile === null ? [predictions, truth] : [predictions], secondOffset),
    personSentence(truth),
    labelNameSentence(labels),
  ];
  return sentences.filter((sentence) => sentence !== null);
}

/** Returns a sentence for each misfit between a ground truth, its label map and its exclusions. */
export function truthMismatches({
  truth,
  labels,
  excluded,
}: Pick<Comparison, 'truth' | 'labels' | 'excluded'>): string[] {
  if (truth.summary.rows === 0) return [emptySentence([truth])!];
  const sameFile = sameFileSentence(truth, null);
  const sentences = [
    actionSentence(truth),
    unknownIdSentence([truth], labels)?.text ?? null,
    exclusionSentence([truth], excluded),
    sameFile,
    sameFile === null ? repeatedSentence([truth]) : null,
    personSentence(truth),
    labelNameSentence(labels),
  ];
  return sentences.filter((sentence) => sentence !== null);
}

/** For an evaluation in which nothing matched although nothing else is wrong: the facts that were compared. */
export function nothingFoundSentence({ predictions, truth }: Comparison): string {
  const [a, b] = [predictions.summary, truth.summary];
  const common = [...a.videos.keys()].filter((name) => b.videos.has(name));
  const keyFrames = new Set(keysOf(b));
  const commonKeys = keysOf(a).filter((key) => keyFrames.has(key));
  return (
    'no prediction overlaps a true box of its class by half or more, although ' +
    `${share(common.length, b.videos.size)} videos and ${share(commonKeys.length, keyFrames.size)} key frames of the ` +
    `ground truth have predictions; coordinates: predictions ${corner(predictions)}, ground truth ${corner(truth)}`
  );
}

function keysOf({ videos }: RowSummary): string[] {
  return [...videos].flatMap(([video, { seconds }]) =>
    Array.from(seconds.keys(), (second) => imageKey(video, second)),
  );
}

function corner({ summary }: Side): string {
  return `x ${rangeText(summary.minX, summary.maxX)} and y ${rangeText(summary.minY, summary.maxY)}`;
}
