/** @file Rows that are missing, repeated, without a score, or in the wrong file. */
import { countOf } from '../../util/progress.js';
import { type Comparison, type Side, shareOf } from './comparison.js';

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
