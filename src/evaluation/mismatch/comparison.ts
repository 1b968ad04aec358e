/** @file The two sides of an evaluation as the search for misfits sees them, and how its sentences name things. */
import type { ActionLabel } from '../../data/datasets/label_map.js';
import { quote } from '../../data/text_lines.js';
import { count } from '../../util/progress.js';
import { firstNames } from '../../util/text.js';
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
  readonly truth: Side;
  readonly predictions: Side;
  readonly labels: readonly ActionLabel[];
  /** Key frames that do not count. */
  readonly excluded: ReadonlySet<string>;
  /** Was added to the seconds of the predictions. */
  readonly secondOffset: number;
}

/** Entries of a long list that are shown. */
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

/** `902 to 930`, or the one number that there is. */
export function rangeText(smallest: number, largest: number): string {
  const text = (value: number) => String(Number(value.toFixed(3)));
  return smallest === largest ? text(smallest) : `${text(smallest)} to ${text(largest)}`;
}
