/** @file Rows that are missing, repeated, without a score, or in the wrong file. */
import { countOf } from '../../util/progress.js';
import type { BoxTable, ImageBoxes } from '../ava_csv.js';
import { type Comparison, type Side, share, shareOf } from './comparison.js';

/** Rows may repeat others by chance, as boxes do that fill the picture; from this part of all rows on it is said. */
const MIN_REPEATED = 0.01;
/** Key frames that are searched for repeated rows; only if there are enough, all are. */
const FIRST_KEY_FRAMES = 300;

/** Says which files have no rows. */
export function emptySentence(sides: readonly Side[]): string | null {
  const facts = sides.flatMap(({ name, summary }) => {
    const empty = summary.files.filter(({ rows }) => rows === 0).map(({ path }) => path);
    if (empty.length === 0) return [];
    const fact = `${empty.join(', ')} (${name}) ${empty.length === 1 ? 'has' : 'have'} no rows`;
    if (summary.rows > 0) return [fact];
    return [`${fact}: ${name === 'predictions' ? 'nobody is found' : 'there is nothing to compare with'}`];
  });
  return facts.length > 0 ? facts.join('; ') : null;
}

/** Says that no row of a ground truth has an action. */
export function actionSentence({ summary }: Side): string | null {
  if (summary.rows === 0 || summary.ids.size > 0) return null;
  return `no row of the ground truth (${countOf(summary.rows, 'row')}) has an action id: there is nothing to compare with`;
}

/** Says that the files seem to be swapped. */
export function swapSentence({ predictions, truth }: Comparison): string | null {
  const { rows, rowsWithFractionAsPerson } = truth.summary;
  if (rows === 0 || 2 * rowsWithFractionAsPerson < rows) return null;
  const fact =
    `the last column of the ground truth holds fractions in ${shareOf(rowsWithFractionAsPerson, rows, 'row')}, as ` +
    'scores are, where person ids are expected';
  const { hasFractionAsScore, rowsWithScore } = predictions.summary;
  if (hasFractionAsScore || rowsWithScore === 0) return fact;
  return (
    `${fact}, and that of the predictions whole numbers: the files look swapped; exchange --ground-truth and ` +
    '--predictions'
  );
}

/** Says that the predictions have no scores to be ranked by. */
export function scoreSentence({ summary }: Side): string | null {
  const { rows, rowsWithScore, rowsWithoutScore, hasScores } = summary;
  if (rowsWithoutScore > 0) {
    return (
      `${shareOf(rowsWithoutScore, rows, 'row')} of the predictions have no score (the eighth column) and count with ` +
      'a score of 1; average precision depends on the order of the scores'
    );
  }
  if (rowsWithScore === 0 || hasScores) return null;
  return (
    `the score is 0 in ${shareOf(rowsWithScore, rows, 'row')} of the predictions: average precision depends on the ` +
    'order of the scores, which equal scores leave open'
  );
}

/** Says that seconds with fractions fall together. */
export function fractionSentence(sides: readonly Side[]): string | null {
  const mixed = sides.filter(({ summary }) => summary.rowsOfMixedSeconds > 0);
  if (mixed.length === 0) return null;
  const facts = mixed.map(
    ({ name, summary }) => `${shareOf(summary.rowsOfMixedSeconds, summary.rows, 'row')} of the ${name}`,
  );
  return (
    `fractions of seconds are cut off, so ${facts.join(' and ')} fall into the key frame of another second (as 2.5 does ` +
    'with 2); leave one second for each key frame'
  );
}

/** Says which rows are there more than once. */
export function repeatedSentence(sides: readonly Side[]): string | null {
  const facts = sides.flatMap(({ name, boxes }) => {
    const { rows, repeated } = countRepeated(boxes);
    return repeated > 0 && repeated >= MIN_REPEATED * rows
      ? [`${share(repeated, rows)} rows of the ${name} that count`]
      : [];
  });
  if (facts.length === 0) return null;
  return `${facts.join(' and ')} repeat an earlier row: the boxes count again, and only one of each can match`;
}

/** Rows with the key frame, box, id and score of an earlier one. */
function countRepeated(table: BoxTable): { rows: number; repeated: number } {
  const step = Math.max(1, Math.floor(table.size / FIRST_KEY_FRAMES));
  let [rows, tried, repeated, place] = [0, 0, 0, 0];
  for (const image of table.values()) {
    rows += image.classes.length;
    if (place++ % step !== 0) continue;
    tried += image.classes.length;
    repeated += repeatedRows(image);
  }
  if (step === 1) return { rows, repeated };
  if (repeated < MIN_REPEATED * tried) return { rows, repeated: 0 };
  repeated = 0;
  for (const image of table.values()) repeated += repeatedRows(image);
  return { rows, repeated };
}

function repeatedRows(image: ImageBoxes): number {
  const { boxes, classes, scores } = image;
  const seen = new Map<number, number>();
  let repeated = 0;
  for (let row = 0; row < classes.length; row++) {
    const at = 4 * row;
    // Different rows hardly ever have the same sum; where they do, one that is repeated may be missed.
    const corners = boxes[at] + 3.7 * boxes[at + 1] + 11.3 * boxes[at + 2] + 29.9 * boxes[at + 3];
    const sum = corners + 101.3 * classes[row] + 0.071 * scores[row];
    const other = seen.get(sum);
    if (other === undefined) seen.set(sum, row);
    else if (isSameRow(image, row, other)) repeated++;
  }
  return repeated;
}

function isSameRow({ boxes, classes, scores }: ImageBoxes, a: number, b: number): boolean {
  if (classes[a] !== classes[b] || scores[a] !== scores[b]) return false;
  return [0, 1, 2, 3].every((i) => boxes[4 * a + i] === boxes[4 * b + i]);
}
