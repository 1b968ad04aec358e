/** @file Key frames that do not match because the two sides count seconds differently. */
import { timeSet } from '../../data/time.js';
import { count } from '../../util/text.js';
import { imageKey } from '../ava_csv.js';
import { type Comparison, listNames, rangeText, share, shareOf } from './comparison.js';
import { countFits } from './offset.js';
import {
  findRemedy,
  MILLISECONDS,
  pickKeyPairs,
  type Remedy,
  ranges,
  smaller,
  sumOf,
  type VideoPair,
} from './seconds_remedy.js';
import { type KeyPair, trialOf, tryReading } from './trial.js';

/** Minimum number of key frames without a match that is reported while others match; fewer may be chance. */
const MIN_KEY_FRAMES = 3;
/** Offsets with which most key frames still match, so only boxes can confirm them; small ones first. */
const NEARBY_OFFSETS = [1, -1, 2, -2, 3, -3, 4, -4, 5, -5];
/** True boxes that a nearby offset must find to be plausible. */
const MIN_FOUND = 3;
/** Factor by which it must find more true boxes than no offset. */
const CLEARLY_MORE = 3;

export interface SecondsFit {
  /** Key frames of the predictions, each with the key frame of the ground truth that it matches or seems to mean. */
  readonly keyPairs: readonly KeyPair[];
  readonly warning: string | null;
}

/** Compares the key frames of matching videos, and pairs up to `limit` of them. */
export function fitSeconds(
  comparison: Comparison,
  videos: ReadonlyMap<string, string>,
  limit: number,
): SecondsFit {
  const pairs = Array.from(videos, ([predicted, labelled]) => pairOf(comparison, predicted, labelled));
  const fitting = pairs.filter((pair) => !isMisfit(pair));
  const few = pairs.filter(isMisfit);
  const misfits = fitting.length === 0 || smaller(few) >= MIN_KEY_FRAMES ? few : [];
  const keyPairs = pickKeyPairs(fitting, null, limit);
  if (misfits.length === 0) {
    const nearby = fitNearby(comparison, pairs, limit);
    return nearby ?? { keyPairs, warning: sparseWarning(comparison, pairs) };
  }
  const remedy = findRemedy(comparison, misfits);
  const common = sumOf(misfits, ({ fits }) => fits);
  if (!remedy && common > 0) return { keyPairs, warning: sparseWarning(comparison, pairs) };
  const scope = { misfits, total: pairs.length };
  return {
    keyPairs: [...keyPairs, ...(remedy ? pickKeyPairs(misfits, remedy, limit) : [])],
    warning: misfitSentence(scope, comparison.secondOffset, remedy),
  };
}

function pairOf(
  { predictions, groundTruth }: Comparison,
  predictedName: string,
  labelledName: string,
): VideoPair {
  const predicted = [...predictions.summary.videos.get(predictedName)!.seconds];
  const labelled = timeSet(groundTruth.summary.videos.get(labelledName)!.seconds);
  const fits = countFits([{ predicted, labelled }], 0);
  return { predictedName, labelledName, predicted, labelled, fits };
}

/** Whether fewer than half of the key frames that could match do so. */
function isMisfit(pair: VideoPair): boolean {
  return 2 * pair.fits < smaller([pair]);
}

/** Checks whether the boxes fit those of a few seconds before or after; most key frames match in any case. */
function fitNearby(comparison: Comparison, pairs: readonly VideoPair[], limit: number): SecondsFit | null {
  const tryOffset = (offset: number) => {
    const keyPairs = pickKeyPairs(pairs, { units: null, offset, fits: countFits(pairs, offset) }, limit);
    return { offset, keyPairs, result: tryReading(trialOf(comparison, keyPairs)) };
  };
  const now = tryOffset(0).result;
  if (CLEARLY_MORE * now.found >= now.trueBoxes) return null;
  const trials = NEARBY_OFFSETS.map(tryOffset);
  const best = trials.reduce((a, b) => (b.result.found > a.result.found ? b : a));
  const { found, trueBoxes } = best.result;
  if (found < MIN_FOUND || 2 * found < trueBoxes || found < CLEARLY_MORE * now.found) return null;
  const boxes = (part: number, whole: number) => shareOf(part, whole, 'true box', 'true boxes');
  const warning =
    `the boxes do not fit those of the same seconds (${boxes(now.found, now.trueBoxes)} found at the compared key frames): ` +
    `with ${addedText(best.offset)} the predictions ${boxes(found, trueBoxes)} would be found: ` +
    `--second-offset ${comparison.secondOffset + best.offset}`;
  return { keyPairs: best.keyPairs, warning };
}

function misfitSentence(
  { misfits, total }: { misfits: readonly VideoPair[]; total: number },
  secondOffset: number,
  remedy: Remedy | null,
): string {
  const everywhere = misfits.length === total;
  const names = listNames(misfits.map(({ predictedName }) => predictedName));
  const where = everywhere ? '' : `in ${shareOf(misfits.length, total, 'video')} (${names}) `;
  const possible = smaller(misfits);
  const fits = sumOf(misfits, (pair) => pair.fits);
  const [predicted, labelled] = ranges(misfits);
  const given = secondOffset === 0 ? '' : ` (after ${secondOffset} was added)`;
  const facts =
    `${where}the seconds do not match (${shareOf(fits, possible, 'key frame')} in common): ` +
    `predictions ${rangeText(...predicted)}${given}, ground truth ${rangeText(...labelled)}`;
  if (!remedy) {
    return `${facts}; no offset added to the seconds of the predictions makes half of them fit`;
  }
  const mended = `${shareOf(remedy.fits, possible, 'key frame')} would fit`;
  return `${facts}; ${everywhere ? flagAdvice(remedy, mended, secondOffset) : rowAdvice(remedy, mended, secondOffset)}`;
}

/** Advice if all videos are affected, so that the flag helps. */
function flagAdvice(remedy: Remedy, mended: string, secondOffset: number): string {
  const total = totalOffset(remedy, secondOffset);
  const isNew = total !== secondOffset;
  const flag = isNew ? `: --second-offset ${total}` : '';
  if (!remedy.units) return `with ${addedText(remedy.offset)} the predictions ${mended}${flag}`;
  const rest = isNew ? `, and then with ${addedText(total)} the predictions,` : '';
  return `${unitsAdvice(remedy.units)}${rest} ${mended}${flag}`;
}

/** Advice if some videos are correct, which the flag would break. */
function rowAdvice(remedy: Remedy, mended: string, secondOffset: number): string {
  const added = totalOffset(remedy, secondOffset) - secondOffset;
  const rows = `${addedText(added)} the predictions of these videos`;
  if (!remedy.units) return `with ${rows} ${mended}`;
  return `${unitsAdvice(remedy.units)}${added === 0 ? '' : `, and then with ${rows},`} ${mended}`;
}

/** The value of --second-offset, after the numbers in the file were divided. */
function totalOffset({ units, offset }: Remedy, secondOffset: number): number {
  const given = units?.side === 'predictions' ? secondOffset / units.perSecond : secondOffset;
  return Number((offset + given).toFixed(6));
}

function addedText(offset: number): string {
  return offset < 0 ? `${count(-offset)} subtracted from` : `${count(offset)} added to`;
}

function unitsAdvice({ side, perSecond, first }: NonNullable<Remedy['units']>): string {
  const what = perSecond === MILLISECONDS ? 'milliseconds' : 'frame numbers';
  const start = first === 1 ? '1 subtracted and then ' : '';
  return `the numbers of the ${side} look like ${what}: with ${start}every one divided by ${perSecond}`;
}

/** Warns if most key frames of one side have no counterpart, which is correct for a sparse list only. */
function sparseWarning({ excluded }: Comparison, pairs: readonly VideoPair[]): string | null {
  // Making the names of all key frames is slow, and in most files few of them have no counterpart.
  const rough = countAlone(pairs, () => true);
  if (rough.every(({ alone, total }) => 2 * alone <= total - excluded.size)) return null;
  const [predicted, labelled] = countAlone(pairs, (name, second) => !excluded.has(imageKey(name, second)));
  const facts: string[] = [];
  if (2 * predicted.alone > predicted.total) {
    facts.push(
      `${share(predicted.alone, predicted.total)} key frames with predictions have no ground truth, so all of their ` +
        'predictions count as false',
    );
  }
  if (2 * labelled.alone > labelled.total) {
    facts.push(
      `${share(labelled.alone, labelled.total)} key frames of the ground truth have no predictions, so all of their ` +
        'people count as missed',
    );
  }
  return facts.length > 0 ? facts.join('; ') : null;
}

/** Numbers of key frames of the predictions and of the ground truth, in total and without a counterpart. */
function countAlone(pairs: readonly VideoPair[], counts: (name: string, second: number) => boolean) {
  const numbers = [
    { alone: 0, total: 0 },
    { alone: 0, total: 0 },
  ];
  for (const { predictedName, labelledName, predicted, labelled } of pairs) {
    const known = timeSet(predicted);
    for (const [side, name, seconds, others] of [
      [numbers[0], predictedName, known, labelled],
      [numbers[1], labelledName, labelled, known],
    ] as const) {
      for (const second of seconds.keys()) {
        if (!counts(name, second)) continue;
        side.total++;
        if (!others.has(second)) side.alone++;
      }
    }
  }
  return numbers;
}
