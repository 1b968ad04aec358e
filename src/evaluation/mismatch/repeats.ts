/** @file Rows, files and names that are given more than once or contradict each other. */
import type { AvaRow } from '../../data/datasets/ava_row.js';
import { sameFiles } from '../../files/same_files.js';
import { countOf } from '../../util/text.js';
import { type BoxTable, findRows, type ImageBoxes, isAtKeyFrame } from '../ava_csv.js';
import { type Comparison, listIds, type Side, share } from './comparison.js';

/** Minimum fraction of repeated predictions to report; some repeat by chance, such as boxes that fill the image. */
const MIN_REPEATED = 0.01;
/** Number of key frames that are searched for repeated predictions before all of them are. */
const FIRST_KEY_FRAMES = 300;

/** One row of a table. */
interface RowFound {
  readonly key: string;
  readonly box: readonly number[];
  readonly action: number;
}

/** Numbers of rows with the key frame, box and action of an earlier row. */
interface Repeats {
  /** All rows. */
  rows: number;
  /** Repeats with the same score as the earlier row. */
  same: number;
  /** Repeats with another score. */
  otherScore: number;
  firstSame: RowFound | null;
  firstOther: RowFound | null;
}

/** Warns about repeated rows, or returns null; `secondOffset` was added to the seconds of the predictions. */
export function repeatedSentence(sides: readonly Side[], secondOffset = 0): string | null {
  const found = sides.map((side) => ({ side, repeats: countRepeats(side) }));
  const list = (count: (repeats: Repeats) => number, first: (repeats: Repeats) => RowFound | null) => {
    const some = found.filter(({ side, repeats }) => isWorthSaying(side, count(repeats), repeats.rows));
    const facts = some.map(
      ({ side, repeats }) => `${share(count(repeats), repeats.rows)} evaluated rows of the ${side.name}`,
    );
    const places = some.map(({ side, repeats }) => placesOf(side, first(repeats)!, secondOffset));
    return { facts: facts.join(' and '), first: `first: ${places.join(' and ')}` };
  };
  const same = list(
    (repeats) => repeats.same,
    (repeats) => repeats.firstSame,
  );
  const other = list(
    (repeats) => repeats.otherScore,
    (repeats) => repeats.firstOther,
  );
  const parts: string[] = [];
  if (same.facts !== '') {
    parts.push(
      `${same.facts} repeat an earlier row (${same.first}): each box counts again, and only one can match`,
    );
  }
  if (other.facts !== '') {
    parts.push(
      `${other.facts} have the box and action of an earlier row with another score (${other.first}): each is a detection, and ` +
        'only the one with the highest score can match',
    );
  }
  return parts.length > 0 ? `${parts.join('; ')}; keep one of each` : null;
}

function isWorthSaying({ name }: Side, count: number, rows: number): boolean {
  return count > 0 && (name === 'ground truth' || count >= MIN_REPEATED * rows);
}

/** Positions of the first repeated row and of the row that it repeats. */
function placesOf(side: Side, row: RowFound, secondOffset: number): string {
  const offset = side.name === 'predictions' ? secondOffset : 0;
  const [earlier, later] = linesOf(side, row, offset, (read) => read.action === row.action);
  return `${later}, like ${earlier}`;
}

/** Positions of the first two rows with the box of a given row for which `isLike` is true. */
function linesOf(
  { summary }: Side,
  { key, box }: RowFound,
  secondOffset: number,
  isLike: (row: AvaRow) => boolean,
): string[] {
  const files = summary.files.map(({ path }) => path);
  const matches = (row: AvaRow) =>
    isLike(row) && row.box.every((value, i) => value === box[i]) && isAtKeyFrame(row, key, secondOffset);
  return findRows(files, matches, 2);
}

function countRepeats({ name, boxes: table }: Side): Repeats {
  const step = name === 'predictions' ? Math.max(1, Math.floor(table.size / FIRST_KEY_FRAMES)) : 1;
  const tried = countIn(table, step);
  const few = Math.max(tried.same, tried.otherScore) < MIN_REPEATED * tried.rows;
  if (step === 1) return tried;
  return few ? { rows: 0, same: 0, otherScore: 0, firstSame: null, firstOther: null } : countIn(table, 1);
}

/** Counts in every `step`-th key frame. */
function countIn(table: BoxTable, step: number): Repeats {
  const repeats: Repeats = { rows: 0, same: 0, otherScore: 0, firstSame: null, firstOther: null };
  let position = 0;
  for (const [key, image] of table) {
    if (position++ % step === 0) countInImage(key, image, repeats);
  }
  return repeats;
}

function countInImage(key: string, image: ImageBoxes, repeats: Repeats): void {
  const { classes, scores } = image;
  const seen = new Map<number, number>();
  const seenWithScore = new Map<number, number>();
  repeats.rows += classes.length;
  for (let row = 0; row < classes.length; row++) {
    // Different rows hardly ever have the same sum; if they do, a repeat may be missed.
    const sum = cornerSum(image, row) + 101.3 * classes[row];
    const withScore = sum + 0.071 * scores[row];
    const same = seenWithScore.get(withScore);
    const other = seen.get(sum);
    if (same === undefined) seenWithScore.set(withScore, row);
    if (other === undefined) seen.set(sum, row);
    if (same !== undefined && isSameRow(image, row, same) && scores[row] === scores[same]) {
      repeats.same++;
      repeats.firstSame ??= rowOf(key, image, row);
    } else if (other !== undefined && isSameRow(image, row, other)) {
      repeats.otherScore++;
      repeats.firstOther ??= rowOf(key, image, row);
    }
  }
}

function cornerSum({ boxes }: ImageBoxes, row: number): number {
  const at = 4 * row;
  return boxes[at] + 3.7 * boxes[at + 1] + 11.3 * boxes[at + 2] + 29.9 * boxes[at + 3];
}

function isSameBox({ boxes }: ImageBoxes, a: number, b: number): boolean {
  return [0, 1, 2, 3].every((i) => boxes[4 * a + i] === boxes[4 * b + i]);
}

function isSameRow(image: ImageBoxes, a: number, b: number): boolean {
  return image.classes[a] === image.classes[b] && isSameBox(image, a, b);
}

function rowOf(key: string, { boxes, classes }: ImageBoxes, row: number): RowFound {
  return { key, box: boxes.slice(4 * row, 4 * row + 4), action: classes[row] };
}

/** Warns about true boxes with several person ids, or returns null. */
export function personSentence(groundTruth: Side): string | null {
  // Fractions are scores: the files are swapped.
  if (groundTruth.summary.rowsWithFractionAsPerson > 0) return null;
  let boxes = 0;
  let first: { row: RowFound; persons: readonly [number, number] } | null = null;
  for (const [key, image] of groundTruth.boxes) {
    for (const [row, other] of contradictions(image)) {
      boxes++;
      first ??= { row: rowOf(key, image, row), persons: [image.persons![row], image.persons![other]] };
    }
  }
  if (first === null) return null;
  const { row, persons } = first;
  const places = persons.map(
    (person) => linesOf(groundTruth, row, 0, ({ last }) => last !== undefined && Number(last) === person)[0],
  );
  return (
    `${countOf(boxes, 'box has', 'boxes have')} several person ids in one key frame of the ground truth (first: ${places[1]} ` +
    `has ${persons[1]}, ${places[0]} has ${persons[0]}): the ids are not evaluated, and each row counts as a box of its ` +
    'action; give each box one id'
  );
}

/** Pairs of rows for each box with several person ids: a row with another id, and the first row of the box. */
function contradictions(image: ImageBoxes): [row: number, first: number][] {
  const { persons } = image;
  if (!persons) return [];
  const firstRows = new Map<number, number>();
  const found = new Map<number, number>();
  for (let row = 0; row < persons.length; row++) {
    if (Number.isNaN(persons[row])) continue;
    const sum = cornerSum(image, row);
    const first = firstRows.get(sum);
    if (first === undefined) firstRows.set(sum, row);
    else if (isSameBox(image, row, first) && persons[row] !== persons[first] && !found.has(first)) {
      found.set(first, row);
    }
  }
  return Array.from(found, ([first, row]) => [row, first]);
}

/** Warns about names with several ids, or returns null. */
export function labelNameSentence(labels: Comparison['labels']): string | null {
  const ids = new Map<string, number[]>();
  for (const { id, name } of labels) ids.set(name, [...(ids.get(name) ?? []), id]);
  const several = [...ids].filter(([, list]) => list.length > 1);
  if (several.length === 0) return null;
  const [[name, list]] = several;
  return (
    `the label map gives ${countOf(several.length, 'name')} to several ids (first: ${JSON.stringify(name)} to ${listIds(list)}): ` +
    'each id is a separate class in the mean; give each its own name'
  );
}

/** Warns about files that are given twice, by one path, two paths or a link; or returns null. */
export function sameFileSentence({ summary: groundTruth }: Side, predictions: Side | null): string | null {
  const twice = sameFiles(groundTruth.files.map(({ path }) => path));
  if (twice.length > 0) {
    const [[path, other]] = twice;
    const fact = path === other ? `${path} is given twice` : `${path} and ${other} are one file`;
    return `${fact} as ground truth: each box counts twice, and only one can match; give it once`;
  }
  const both = predictions?.summary.files.find(
    ({ path }) => sameFiles([...groundTruth.files.map((file) => file.path), path]).length > 0,
  );
  return both
    ? `${both.path} is given as ground truth and as predictions: the result is meaningless; give two files`
    : null;
}
