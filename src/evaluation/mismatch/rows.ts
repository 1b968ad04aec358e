/** @file Rows that are missing, without a score or an action, or in the wrong file. */
import { countOf } from '../../util/text.js';
import { type Comparison, type Side, shareOf } from './comparison.js';

/** Warns about files without rows. */
export function emptySentence(sides: readonly Side[]): string | null {
  const facts = sides.flatMap(({ name, summary }) => {
    const empty = summary.files.filter(({ rows }) => rows === 0).map(({ path }) => path);
    if (empty.length === 0) return [];
    const fact = `${empty.join(', ')} (${name}) ${empty.length === 1 ? 'has' : 'have'} no rows`;
    if (summary.rows > 0) return [fact];
    return [
      `${fact}: ${name === 'predictions' ? 'there are no detections' : 'there is nothing to compare with'}`,
    ];
  });
  return facts.length > 0 ? facts.join('; ') : null;
}

/** Warns if no row of the ground truth has an action. */
export function actionSentence({ summary }: Side): string | null {
  if (summary.rows === 0 || summary.ids.size > 0) return null;
  return `no row of the ground truth (${countOf(summary.rows, 'row')}) has an action id: there is nothing to compare with`;
}

/** Warns if the files seem to be swapped. */
export function swapSentence({ predictions, groundTruth }: Comparison): string | null {
  const { rows, rowsWithFractionAsPerson } = groundTruth.summary;
  if (rows === 0 || 2 * rowsWithFractionAsPerson < rows) return null;
  const fact =
    `the last column of the ground truth holds fractions in ${shareOf(rowsWithFractionAsPerson, rows, 'row')}, like ` +
    'scores, where person ids are expected';
  const { hasFractionAsScore, rowsWithScore } = predictions.summary;
  if (hasFractionAsScore || rowsWithScore === 0) return fact;
  return (
    `${fact}, and that of the predictions holds whole numbers: the files look swapped; exchange --ground-truth and ` +
    '--predictions'
  );
}

/** Warns if the predictions have no scores to rank them by. */
export function scoreSentence({ summary }: Side): string | null {
  const { rows, rowsWithScore, rowsWithoutScore, hasScores } = summary;
  if (rowsWithoutScore > 0) {
    return (
      `${shareOf(rowsWithoutScore, rows, 'row')} of the predictions have no score (the eighth column) and get ` +
      'a score of 1; average precision depends on the order of the scores'
    );
  }
  if (rowsWithScore === 0 || hasScores) return null;
  return (
    `the score is 0 in ${shareOf(rowsWithScore, rows, 'row')} of the predictions: average precision depends on the ` +
    'order of the scores, and equal scores have no order'
  );
}
