/** @file Rows that are missing, repeated, swapped, without a score or excluded. */
import { describe, expect, it } from 'vitest';
import {
  at,
  changed,
  csv,
  evaluate,
  file,
  fitting,
  lines,
  type Row,
  truthFiles,
  VIDEOS,
  warningsOf,
} from '../../../test/mismatched_files.js';
import { evaluateFiles } from '../evaluate_files.js';

describe('rows', () => {
  it('that are not there at all are said for each file', () => {
    const files = fitting();
    expect(warningsOf({ ...files, predictions: [] })).toEqual([
      `${at('p.csv')} (predictions) has no rows: nobody is found`,
    ]);
    const noTruth = evaluate({ ...files, truth: [] });
    expect(noTruth.warnings).toEqual([
      `${at('gt.csv')} (ground truth) has no rows: there is nothing to compare with`,
    ]);
    expect(noTruth.mAP).toBeNull();
    expect(warningsOf({ ...files, truth: [], predictions: [] })).toHaveLength(1);
  });

  it('that are missing in one of several files of truth are said', () => {
    const files = fitting();
    const { groundTruth, labelMap } = truthFiles(files);
    const predictions = file('p.csv', lines(csv(files.predictions)));
    const empty = file('more.csv', '\n');
    expect(evaluateFiles({ groundTruth: [...groundTruth, empty], labelMap }, predictions).warnings).toEqual([
      `${empty} (ground truth) has no rows`,
    ]);
  });

  it('without an action in the truth are said', () => {
    const files = changed(fitting(), { truth: (row) => ({ ...row, id: '' }) });
    expect(warningsOf(files)[0]).toContain('no row of the ground truth (174 rows) has an action id');
  });

  it('without a score, or with 0 everywhere, are said', () => {
    const without = changed(fitting(), { predictions: (row) => ({ ...row, last: undefined }) });
    expect(warningsOf(without)).toEqual([
      expect.stringContaining('174 of 174 rows of the predictions have no score (the eighth column)'),
    ]);
    const zero = changed(fitting(), { predictions: (row) => ({ ...row, last: '0.0' }) });
    expect(warningsOf(zero)).toEqual([
      expect.stringContaining('the score is 0 in 174 of 174 rows of the predictions'),
    ]);
  });

  it('of swapped files are recognised, and right if exchanged', () => {
    const { truth, predictions, labels } = fitting();
    const [warning] = warningsOf({ truth: predictions, predictions: truth, labels });
    expect(warning).toContain('the files look swapped; exchange --ground-truth and --predictions');
    expect(warningsOf({ truth, predictions, labels })).toEqual([]);
  });

  it('that repeat others are counted on both sides', () => {
    const files = fitting();
    const twice = (rows: Row[]) => [...rows, ...rows];
    expect(
      warningsOf({ ...files, predictions: twice(files.predictions), truth: twice(files.truth) }),
    ).toEqual([
      '174 of 348 rows of the predictions that count and 174 of 348 rows of the ground truth that count repeat an ' +
        'earlier row: the boxes count again, and only one of each can match',
    ]);
  });

  it('that repeat others are all counted among many key frames too', () => {
    const files = fitting(
      VIDEOS,
      Array.from({ length: 400 }, (_, i) => 902 + i),
    );
    const [warning] = warningsOf({ ...files, predictions: [...files.predictions, ...files.predictions] });
    expect(warning).toContain('2,400 of 4,800 rows');
  });
});

describe('exclusions', () => {
  const keys = (rows: readonly Row[]) => [
    ...new Set(rows.map(({ video, second }) => `${video},${second}\n`)),
  ];

  it('of all or most key frames are said', () => {
    const files = fitting();
    const all = evaluate({ ...files, excluded: keys(files.truth).join('') });
    expect(all.warnings).toEqual([
      'the list of exclusions takes out 87 of 87 key frames of the predictions and 87 of 87 key frames of the ground truth',
    ]);
    expect(all.mAP).toBeNull();
    expect(warningsOf({ ...files, excluded: keys(files.truth).slice(0, 60).join('') })[0]).toContain(
      '60 of 87',
    );
    expect(warningsOf({ ...files, excluded: keys(files.truth).slice(0, 20).join('') })).toEqual([]);
  });

  it.each([
    ['other names', 'a_one.mp4,0910\n', '"a_one.mp4" at 910'],
    ['other seconds', 'a_one,10\nb_two,12\n', '"a_one", "b_two" at 10 to 12'],
  ])('without effect for %s are said', (_, excluded, shown) => {
    const [warning, ...others] = warningsOf({ ...fitting(), excluded });
    expect(others).toEqual([]);
    expect(warning).toContain('the list of exclusions has no effect');
    expect(warning).toContain(shown);
    expect(warning).toContain('the ground truth "a_one", "b_two", "c_three" at 902 to 930');
  });

  it('make up for videos that only one side has', () => {
    const files = fitting();
    const truth = files.truth.filter(({ video }) => video !== 'b_two');
    const excluded = keys(files.truth.filter(({ video }) => video === 'b_two')).join('');
    expect(warningsOf({ ...files, truth, excluded })).toEqual([]);
  });
});
