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
  warningsOf,
} from '../../../test/support/mismatched_files.js';
import { evaluateFiles } from '../evaluate_files.js';

describe('warnings about rows', () => {
  it('name each file without rows', () => {
    const files = fitting();
    expect(warningsOf({ ...files, predictions: [] })).toEqual([
      `${at('p.csv')} (predictions) has no rows: there are no detections`,
    ]);
    const noTruth = evaluate({ ...files, groundTruth: [] });
    expect(noTruth.warnings).toEqual([
      `${at('gt.csv')} (ground truth) has no rows: there is nothing to compare with`,
    ]);
    expect(noTruth.mAP).toBeNull();
    expect(warningsOf({ ...files, groundTruth: [], predictions: [] })).toHaveLength(1);
  });

  it('name an empty file among several ground truth files', () => {
    const files = fitting();
    const { groundTruth, labelMap } = truthFiles(files);
    const predictions = file('p.csv', lines(csv(files.predictions)));
    const empty = file('more.csv', '\n');
    expect(evaluateFiles({ groundTruth: [...groundTruth, empty], labelMap }, predictions).warnings).toEqual([
      `${empty} (ground truth) has no rows`,
    ]);
  });

  it('report ground truth without actions', () => {
    const files = changed(fitting(), { groundTruth: (row) => ({ ...row, id: '' }) });
    expect(warningsOf(files)[0]).toContain('no row of the ground truth (174 rows) has an action id');
  });

  it('report missing scores, and scores that are all 0', () => {
    const without = changed(fitting(), { predictions: (row) => ({ ...row, last: undefined }) });
    expect(warningsOf(without)).toEqual([
      expect.stringContaining('174 of 174 rows of the predictions have no score (the eighth column)'),
    ]);
    const zero = changed(fitting(), { predictions: (row) => ({ ...row, last: '0.0' }) });
    expect(warningsOf(zero)).toEqual([
      expect.stringContaining('the score is 0 in 174 of 174 rows of the predictions'),
    ]);
  });

  it('recognise swapped files, and vanish when they are exchanged', () => {
    const { groundTruth, predictions, labels } = fitting();
    const [warning] = warningsOf({ groundTruth: predictions, predictions: groundTruth, labels });
    expect(warning).toContain('the files look swapped; exchange --ground-truth and --predictions');
    expect(warningsOf({ groundTruth, predictions, labels })).toEqual([]);
  });
});

describe('warnings about exclusions', () => {
  const keys = (rows: readonly Row[]) => [
    ...new Set(rows.map(({ video, second }) => `${video},${second}\n`)),
  ];

  it('report lists that exclude all or most key frames', () => {
    const files = fitting();
    const all = evaluate({ ...files, excluded: keys(files.groundTruth).join('') });
    expect(all.warnings).toEqual([
      'the list of exclusions removes 87 of 87 key frames of the predictions and 87 of 87 key frames of the ground truth: ' +
        'it must name the key frames to leave out, not those to keep',
    ]);
    expect(all.mAP).toBeNull();
    expect(warningsOf({ ...files, excluded: keys(files.groundTruth).slice(0, 60).join('') })[0]).toContain(
      '60 of 87',
    );
    expect(warningsOf({ ...files, excluded: keys(files.groundTruth).slice(0, 20).join('') })).toEqual([]);
  });

  it.each([
    ['other names', 'a_one.mp4,0910\n', '"a_one.mp4" at 910'],
    ['other seconds', 'a_one,10\nb_two,12\n', '"a_one", "b_two" at 10 to 12'],
  ])('report a list of exclusions without effect because of %s', (_, excluded, shown) => {
    const [warning, ...others] = warningsOf({ ...fitting(), excluded });
    expect(others).toEqual([]);
    expect(warning).toContain('the list of exclusions has no effect');
    expect(warning).toContain(shown);
    expect(warning).toContain('the ground truth "a_one", "b_two", "c_three" at 902 to 930');
  });

  it.each([
    [
      'an ending',
      (row: Row) => `${row.video}.mp4,${row.second}\n`,
      'without ".mp4" 3 of 3 names of the list would fit',
    ],
    ['letter case', (row: Row) => `${row.video.toUpperCase()},${row.second}\n`, 'in lower case 3 of 3 names'],
    [
      'seconds',
      (row: Row) => `${row.video},${Number(row.second) - 900}\n`,
      'with 900 added to its seconds they would fit',
    ],
    [
      'both',
      (row: Row) => `v/${row.video},${Number(row.second) - 902}\n`,
      'without "v/" 3 of 3 names of the list would fit; with 902 added to its seconds they would fit',
    ],
    [
      'the data',
      (row: Row) => `film ${row.video.length},${row.second}\n`,
      'it seems to belong to another data set',
    ],
  ])('propose how a list of exclusions would fit if it differs in %s', (_, spell, advice) => {
    const files = fitting();
    const rows = files.groundTruth.filter(({ second }) => Number(second) < 914);
    const [warning, ...others] = warningsOf({ ...files, excluded: [...new Set(rows.map(spell))].join('') });
    expect(others).toEqual([]);
    expect(warning).toMatch(/^the list of exclusions has no effect, .*/);
    expect(warning).toContain(advice);
  });

  it('give advice after which the list of exclusions has an effect', () => {
    const { excluded, ...files } = { ...fitting(), excluded: 'a_one,0910\n' };
    expect(warningsOf({ ...files, excluded })).toEqual([]);
    expect(evaluate({ ...files, excluded }).notes).toEqual([
      'the list of exclusions has 1 key frame and leaves out 1 of 87 of the predictions (first: "a_one" at 910) and ' +
        '1 of 87 of the ground truth (first: "a_one" at 910)',
    ]);
  });

  it('report names that are misspelled for some videos', () => {
    expect(warningsOf({ ...fitting(), excluded: 'a_one,0910\nb_two.mp4,0910\nelsewhere,0902\n' })).toEqual([
      'the list of exclusions has no effect for 2 of 3 videos ("b_two.mp4", "elsewhere"); without ".mp4" 1 of 2 names of ' +
        'the list would fit',
    ]);
  });

  it('ignore excluded videos that only one side has', () => {
    const files = fitting();
    const groundTruth = files.groundTruth.filter(({ video }) => video !== 'b_two');
    const excluded = keys(files.groundTruth.filter(({ video }) => video === 'b_two')).join('');
    expect(warningsOf({ ...files, groundTruth, excluded })).toEqual([]);
  });
});
