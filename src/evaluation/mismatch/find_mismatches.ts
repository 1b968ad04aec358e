/** @file Mismatches between predictions and ground truth, as sentences. The official mAP is silently too small because of them. */
import { imageKey } from '../ava_csv.js';
import type { RowSummary } from '../row_summary.js';
import { fitIds, unknownIdSentence } from './action_ids.js';
import { fitBoxes } from './boxes.js';
import { type Comparison, rangeText, type Side, share } from './comparison.js';
import { exclusionSentence } from './exclusions.js';
import { labelNameSentence, personSentence, repeatedSentence, sameFileSentence } from './repeats.js';
import { actionSentence, emptySentence, scoreSentence, swapSentence } from './rows.js';
import { fitSeconds } from './seconds.js';
import { fitVideos } from './video_names.js';

/** Maximum number of key frames whose boxes are compared. */
const MAX_COMPARED = 200;

/**
 * At most one sentence for each kind of mismatch. Each search assumes the remedies of the previous ones: boxes are compared at
 * the key frames that would match if names and seconds were corrected.
 */
export function findMismatches(comparison: Comparison): string[] {
  const { predictions, groundTruth, excluded } = comparison;
  const sides = [predictions, groundTruth];
  const one = (sentence: string | null) => (sentence === null ? [] : [sentence]);
  const nothing = one(emptySentence(sides));
  if (groundTruth.summary.rows === 0) return nothing;
  if (predictions.summary.rows === 0) return [...nothing, ...groundTruthMismatches(comparison)];
  const swapped = swapSentence(comparison);
  const videos = fitVideos(comparison);
  const seconds = fitSeconds(comparison, videos.pairs, MAX_COMPARED);
  return [
    ...nothing,
    ...one(swapped),
    ...one(videos.warning),
    ...one(seconds.warning),
    ...fitBoxes(comparison, seconds.keyPairs),
    ...one(actionSentence(groundTruth)),
    ...fitIds(comparison, seconds.keyPairs),
    ...one(exclusionSentence(sides, excluded)),
    ...one(swapped === null ? scoreSentence(predictions) : null),
  ];
}

/** At most one sentence for each kind of data that is given twice or contradicts itself. */
export function findRepeats({ predictions, groundTruth, labels, secondOffset }: Comparison): string[] {
  if (groundTruth.summary.rows === 0) return [];
  const sameFile = sameFileSentence(groundTruth, predictions);
  const sentences = [
    sameFile,
    // All rows of a file that is given twice are repeats.
    repeatedSentence(sameFile === null ? [predictions, groundTruth] : [predictions], secondOffset),
    personSentence(groundTruth),
    labelNameSentence(labels),
  ];
  return sentences.filter((sentence) => sentence !== null);
}

/** At most one sentence for each kind of mismatch between ground truth, label map and exclusions. */
export function groundTruthMismatches({
  groundTruth,
  labels,
  excluded,
}: Pick<Comparison, 'groundTruth' | 'labels' | 'excluded'>): string[] {
  if (groundTruth.summary.rows === 0) return [emptySentence([groundTruth])!];
  const sameFile = sameFileSentence(groundTruth, null);
  const sentences = [
    actionSentence(groundTruth),
    unknownIdSentence([groundTruth], labels)?.text ?? null,
    exclusionSentence([groundTruth], excluded),
    sameFile,
    sameFile === null ? repeatedSentence([groundTruth]) : null,
    personSentence(groundTruth),
    labelNameSentence(labels),
  ];
  return sentences.filter((sentence) => sentence !== null);
}

/** Describes both sides of an evaluation in which nothing matched although no mismatch was found. */
export function nothingFoundSentence({ predictions, groundTruth }: Comparison): string {
  const [a, b] = [predictions.summary, groundTruth.summary];
  const common = [...a.videos.keys()].filter((name) => b.videos.has(name));
  const keyFrames = new Set(keysOf(b));
  const commonKeys = keysOf(a).filter((key) => keyFrames.has(key));
  return (
    'no prediction overlaps a true box of its class by half or more, although ' +
    `${share(common.length, b.videos.size)} videos and ${share(commonKeys.length, keyFrames.size)} key frames of the ` +
    `ground truth have predictions; coordinates: predictions ${corner(predictions)}, ground truth ${corner(groundTruth)}`
  );
}

function keysOf({ videos }: RowSummary): string[] {
  return [...videos].flatMap(([video, { seconds }]) =>
    Array.from(seconds, (second) => imageKey(video, second)),
  );
}

function corner({ summary }: Side): string {
  return `x ${rangeText(summary.minX, summary.maxX)} and y ${rangeText(summary.minY, summary.maxY)}`;
}
