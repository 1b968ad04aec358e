/** @file Action ids that the label map lacks, and classes that one side lacks. */
import { quote } from '../../data/problems.js';
import { countOf } from '../../util/text.js';
import type { RowSummary } from '../row_summary.js';
import { type Comparison, listIds, rangeText, type Side, share, shareOf } from './comparison.js';
import { type KeyPair, type TrialResult, trialOf, tryReading } from './trial.js';

type Labels = Comparison['labels'];

/** Size of label maps that may leave out ids on purpose: AVA annotates 80 actions, and its label map has 60. */
const MIN_LARGE_MAP = 20;
/** Fraction of the true boxes that must have a prediction of their class to make an offset of ids plausible. */
const LIKELY = 0.5;
/** Factor by which there must be more of them than without the offset. */
const CLEARLY_MORE = 3;
/** Minimum number of them. */
const MIN_FOUND = 3;

/** A change of ids and its effect. */
interface Renumbering {
  readonly how: string;
  /** Number of ids that the label map has after the change. */
  readonly fits: number;
}

/** Warns about ids that are not evaluated, and about classes that only the ground truth has. */
export function fitIds(comparison: Comparison, keyPairs: readonly KeyPair[]): string[] {
  const { predictions, groundTruth, labels } = comparison;
  const unknown = unknownIdSentence([predictions, groundTruth], labels);
  if (unknown?.isRemedied) return [unknown.text];
  const shifted = shiftedIdSentence(comparison, keyPairs);
  const absent = shifted ?? absentClassSentence(comparison);
  return [...(unknown ? [unknown.text] : []), ...(absent ? [absent] : [])];
}

/** Warns about ids that the label map lacks; null if it has all ids that matter. */
export function unknownIdSentence(
  sides: readonly Side[],
  labels: Labels,
): { text: string; isRemedied: boolean } | null {
  const facts: string[] = [];
  const advice: string[] = [];
  for (const { name, summary } of sides) {
    const unknown = unknownIds(summary, labels);
    if (unknown.length === 0) continue;
    const rows = unknown.reduce((sum, id) => sum + summary.ids.get(id)!, 0);
    const what = unknown.length === 1 ? `id ${unknown[0]}` : `${unknown.length} ids (${listIds(unknown)})`;
    facts.push(`${what} of the ${name}, in ${shareOf(rows, summary.rows, 'row')}`);
    const change = renumbering(summary, labels);
    if (change) {
      const fits = shareOf(change.fits, summary.ids.size, 'id');
      advice.push(`with ${change.how} of the ${name} ${fits} would be in it`);
    }
  }
  if (facts.length === 0) return null;
  const ids = labels.map(({ id }) => id);
  const known = `the label map, which has ${countOf(ids.length, 'id')} (${rangeText(Math.min(...ids), Math.max(...ids))})`;
  const text = [`${known}, lacks ${facts.join(' and ')}: these rows are not evaluated`, ...advice].join('; ');
  return { text, isRemedied: advice.length > 0 };
}

function unknownIds(summary: RowSummary, labels: Labels): number[] {
  const known = new Set(labels.map(({ id }) => id));
  const unknown = [...summary.ids.keys()].filter((id) => !known.has(id)).sort((a, b) => a - b);
  const isOnPurpose = isEveryClass(summary, known) || unknown.every((id) => isLeftOut(id, labels));
  return isOnPurpose ? [] : unknown;
}

/** Whether a file has equally many rows of every id from 1 on, as if a model scored all of its many classes. */
function isEveryClass({ ids }: RowSummary, known: ReadonlySet<number>): boolean {
  if (ids.size < MIN_LARGE_MAP) return false;
  const rows = ids.get(1);
  for (let id = 1; id <= ids.size; id++) if (ids.get(id) !== rows) return false;
  return [...known].every((id) => ids.has(id));
}

/** Whether the id lies in a gap of a large label map. */
function isLeftOut(id: number, labels: Labels): boolean {
  return labels.length >= MIN_LARGE_MAP && id > 0 && id < Math.max(...labels.map((label) => label.id));
}

/** The simplest change with which the label map has all ids or, for ids from 0, more of them than now. */
function renumbering({ ids }: RowSummary, labels: Labels): Renumbering | null {
  const known = new Set(labels.map(({ id }) => id));
  const all = [...ids.keys()];
  const smallest = Math.min(...all);
  const fitsWith = (change: (id: number) => number | undefined) =>
    all.filter((id) => known.has(change(id) ?? Number.NaN)).length;
  const toStart = Math.min(...known) - smallest;
  // Large offsets prove nothing if some ids are correct as they are.
  const offsets = fitsWith((id) => id) === 0 ? [1, -1, toStart] : [1, -1];
  for (const offset of offsets) {
    if (fitsWith((id) => id + offset) === all.length) return { how: addedText(offset), fits: all.length };
  }
  for (const first of [1, 0]) {
    if (smallest === first && fitsWith((id) => labels[id - first]?.id) === all.length) {
      const how = `the id of the label at this position of the label map, counted from ${first}, instead of every id`;
      return { how, fits: all.length };
    }
  }
  const fromOne = fitsWith((id) => id + 1);
  return smallest === 0 && fromOne >= fitsWith((id) => id) ? { how: addedText(1), fits: fromOne } : null;
}

function addedText(offset: number): string {
  return offset > 0 ? `${offset} added to every id` : `${-offset} subtracted from every id`;
}

/** Warns if the boxes of both sides suggest that all ids are off by one, although the label map has them. */
function shiftedIdSentence(comparison: Comparison, keyPairs: readonly KeyPair[]): string | null {
  const trial = trialOf(comparison, keyPairs);
  const now = tryReading(trial, { idOffset: 0 });
  if (now.trueBoxes === 0 || now.found >= LIKELY * now.trueBoxes) return null;
  const isLikely = ({ found, trueBoxes }: TrialResult) =>
    found >= MIN_FOUND && found >= LIKELY * trueBoxes && found >= CLEARLY_MORE * now.found;
  for (const idOffset of [1, -1]) {
    const then = tryReading(trial, { idOffset });
    if (!isLikely(then)) continue;
    const facts = `${shareOf(now.found, now.trueBoxes, 'true box', 'true boxes')} have a prediction of their class`;
    return (
      `the ids of the two files hardly match (${facts} at the compared key frames): with ${addedText(idOffset)} of the ` +
      `predictions ${share(then.found, then.trueBoxes)} would have one`
    );
  }
  return null;
}

/** Warns about classes with ground truth but without predictions. */
function absentClassSentence({ predictions, groundTruth, labels }: Comparison): string | null {
  const isPredicted = ({ id }: { readonly id: number }) => predictions.summary.ids.has(id);
  const labelled = labels.filter(({ id }) => groundTruth.summary.ids.has(id));
  const absent = labelled.filter((label) => !isPredicted(label));
  // If the predictions have no id of the label map, `unknownIdSentence` reports it.
  if (absent.length === 0 || !labels.some(isPredicted)) return null;
  const shown = absent.slice(0, 3).map(({ id, name }) => `${id} ${quote(name)}`);
  const list = shown.join(', ') + (absent.length > shown.length ? ', …' : '');
  return (
    `${shareOf(absent.length, labelled.length, 'class', 'classes')} with ground truth ` +
    `${absent.length === 1 ? 'has no prediction and counts' : 'have no predictions and count'} as 0 in the mean: ${list}`
  );
}
