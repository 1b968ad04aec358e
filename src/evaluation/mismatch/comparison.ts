/** @file The two sides of an evaluation for the search for mismatches, and phrases of its sentences. */
import type { ActionLabel } from '../../data/datasets/label_map.js';
import { quote } from '../../data/problems.js';
import { count, firstNames } from '../../util/text.js';
import type { BoxTable } from '../ava_csv.js';
import type { RowSummary } from '../row_summary.js';

export type SideName = 'predictions' | 'ground truth';

export interface Side {
  readonly name: SideName;
  readonly summary: RowSummary;
  /** Boxes of the classes in the label map. */
  readonly boxes: BoxTable;
}

export interface Comparison {
  readonly groundTruth: Side;
  readonly predictions: Side;
  readonly labels: readonly ActionLabel[];
  /** Key frames that are left out. */
  readonly excluded: ReadonlySet<string>;
  /** Offset that was added to the seconds of the predictions. */
  readonly secondOffset: number;
}

/** Maximum number of entries of a list that are shown. */
const SHOWN = 3;

/** `"a", "b", "c", …` */
export function listNames(names: Iterable<string>): string {
  return listed(Array.from(names, quote));
}

/** `1, 2, 3, …` */
export function listIds(ids: Iterable<number>): string {
  return listed(Array.from(ids, String));
}

function listed(texts: readonly string[]): string {
  return firstNames(texts, SHOWN);
}

/** `3 of 1,200` */
export function share(part: number, whole: number): string {
  return `${count(part)} of ${count(whole)}`;
}

/** `3 of 1,200 boxes`, `1 of 1 box` */
export function shareOf(part: number, whole: number, one: string, many = `${one}s`): string {
  return `${share(part, whole)} ${whole === 1 ? one : many}`;
}

/** `902 to 930`, or `902` if both ends are equal. */
export function rangeText(smallest: number, largest: number): string {
  const text = (value: number) => String(Number(value.toFixed(3)));
  return smallest === largest ? text(smallest) : `${text(smallest)} to ${text(largest)}`;
}
