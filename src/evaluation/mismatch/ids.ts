/** @file Action ids that the label map lacks, and classes that one side does not have. */
import { quote } from '../../data/text_lines.js';
import { countOf } from '../../util/progress.js';
import type { RowSummary } from '../row_summary.js';
import { type Comparison, listIds, rangeText, type Side, share, shareOf } from './comparison.js';
import { type KeyPair, type TrialResult, trialOf, tryReading } from './trial.js';

type Labels = Comparison['labels'];

/** With so many ids, some are left out on purpose: AVA annotates 80 actions, and its label map has 60. */
const MIN_LARGE_MAP = 20;
/** Part of the true boxes that must have a prediction of their class with an offset of ids that is likely. */
const LIKELY = 0.5;
/** Factor by which they must be more than without the offset. */
const CLEARLY_MORE = 3;
/** How many they must be. */
const MIN_FOUND = 3;

/** A change of ids and what it brings. */
interface Renumbering {
  readonly how: string;
  /** Ids of the label map that the file then has. */
  readonly fits: number;
}

/** Says which ids count for nothing, and which classes are only in the ground truth. */
export function fitIds(comparison: Comparison, keyPairs: readonly KeyPair[]): string[] {
  const { predictions, truth, labels } = comparison;
  const unknown = unknownIdSentence([predictions, truth], labels);
  if (unknown?.isRemedied) return [unknown.text];
  const shifted = shiftedIdSentence(comparison, keyPairs);
  const absent = shifted ?? absentClassSentence(comparison);
  return [...(unknown ? [unknown.text] : []), ...(absent ? [absent] : [])];
}

/** One sentence about the ids of the sides that the label map lacks, or null where it has all that matter. */
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
  const text = [`${known}, lacks ${facts.join(' and ')}: these rows count for nothing`, ...advice].join('; ');
  return { text, isRemedied: advice.length > 0 };
}

function unknownIds(summary: RowSummary, labels: Labels): number[] {
  const known = new Set(labels.map(({ id }) => id));
  const unknown = [...summary.ids.keys()].filter((id) => !known.has(id)).sort((a, b) => a - b);
  const isOnPurpose = isEveryClass(summary, known) || unknown.every((id) => isLeftOut(id, labels));
  return isOnPurpose ? [] : unknown;
}

/** Whether a file has as many rows of every id from 1 on, as from a model that scores all its many classes. */
function isEveryClass({ ids }: RowSummary, known: ReadonlySet<number>): boolean {
  if (ids.size < MIN_LARGE_MAP) return false;
  const rows = ids.get(1);
  for (let id = 1; id <= ids.size; id++) if (ids.get(id) !== rows) return false;
  return [...known].every((id) => ids.has(id));
}

/** Whether the id lies in a hole of a large label map. */
function isLeftOut(id: number, labels: Labels): boolean {
  return labels.length >= MIN_LARGE_MAP && id > 0 && id < Math.max(...labels.map((label) => label.id));
}

/** The simplest change with which the label map has all ids, or, where they begin at 0, more of them than now. */
function renumbering({ ids }: RowSummary, labels: Labels): Renumbering | null {
  const known = new Set(labels.map(({ id }) => id));
  const all = [...ids.keys()];
  const smallest = Math.min(...all);
  const fitsWith = (change: (id: number) => number | undefined) =>
    all.filter((id) => known.has(change(id) ?? Number.NaN)).length;
  const toStart = Math.min(...known) - smallest;
  // Far offsets prove nothing where some ids are right as they are.
  const offsets = fitsWith((id) => id) === 0 ? [1, -1, toStart] : [1, -1];
  for (const offset of offsets) {
    if (fitsWith((id) => id + offset) === all.length) return { how: addedText(offset), fits: all.length };
  }
  for (const first of [1, 0]) {
    if (smallest === first && fitsWith((id) => labels[id - first]?.id) === all.length) {
      const how = `the id of the label in this place of the label map, counted from ${first}, instead of every id`;
      return { how, fits: all.length };
    }
  }
  const fromOne = fitsWith((id) => id + 1);
  return smallest === 0 && fromOne >= fitsWith((id) => id) ? { how: addedText(1), fits: fromOne } : null;
}

function addedText(offset: number): string {
  return offset > 0 ? `${offset} added to every id` : `${-offset} subtracted from every id`;
}

/** Says that ids which are all in the label map are one off, as far as the boxes of both sides tell. */
function shiftedIdSentence(comparison: Comparison, keyPairs: readonly KeyPair[]): string | null {
  const trial = trialOf(comparison, keyPairs);
  const now = tryReading(trial, { idOffset: 0 });
  if (now.truths === 0 || now.found >= LIKELY * now.truths) return null;
  const isLikely = ({ found, truths }: TrialResult) =>
    found >= MIN_FOUND && found >= LIKELY * truths && found >= CLEARLY_MORE * now.found;
  for (const idOffset of [1, -1]) {
    const then = tryReading(trial, { idOffset });
    if (!isLikely(then)) continue;
    const facts = `${shareOf(now.found, now.truths, 'true box', 'true boxes')} have a prediction of their class`;
    return (
      `the ids of the two files hardly meet (${facts} at the key frames compared): with ${addedText(idOffset)} of the ` +
      `predictions ${share(then.found, then.truths)} would have one`
    );
  }
  return null;
}

/** Says which classes have ground truth but no prediction at all. */
function absentClassSentence({ predictions, truth, labels }: Comparison): string | null {
  const isPredicted = ({ id }: { readonly id: number }) => predictions.summary.ids.has(id);
  const labelled = labels.filter(({ id }) => truth.summary.ids.has(id));
  const absent = labelled.filter((label) => !isPredicted(label));
  // If the predictions have no id of the label map, that was said before.
  if (absent.length === 0 || !labels.some(isPredicted)) return null;
  const shown = absent.slice(0, 3).map(({ id, name }) => `${id} ${quote(name)}`);
  const list = shown.join(', ') + (absent.length > shown.length ? ', …' : '');
  return (
    `${shareOf(absent.length, labelled.length, 'class', 'classes')} with ground truth ` +
    `${absent.length === 1 ? 'has no prediction and counts' : 'have no predictions and count'} as 0 in the mean: ${list}`
  );
}
