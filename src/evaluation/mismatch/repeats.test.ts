/** @file Rows, files and names that are given twice or contradict each other: said once, and the number stays official. */
import { linkSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  at,
  csv,
  evaluate,
  type Files,
  file,
  fitting,
  lines,
  type Row,
  truthFiles,
  VIDEOS,
  warningsOf,
} from '../../../test/support/mismatched_files.js';
import { evaluateFiles, groundTruthWarnings, readGroundTruth } from '../evaluate_files.js';

const twice = (rows: Row[]) => [...rows, ...rows];

/** Evaluates with several files of ground truth; also what is said of the groundTruth alone, as in training. */
function evaluateWith(
  files: Files,
  groundTruth: string[],
  predictions = file('p.csv', lines(csv(files.predictions))),
) {
  const all = { ...truthFiles(files), groundTruth };
  return { ...evaluateFiles(all, predictions), alone: groundTruthWarnings(readGroundTruth(all)) };
}

describe('rows', () => {
  it('that repeat others are counted on both sides, with the first of each', () => {
    const files = fitting();
    expect(
      warningsOf({ ...files, predictions: twice(files.predictions), groundTruth: twice(files.groundTruth) }),
    ).toEqual([
      '174 of 348 rows of the predictions that count and 174 of 348 rows of the ground truth that count repeat an earlier ' +
        `row (first: ${at('p.csv')}:175, as ${at('p.csv')}:1 and ${at('gt.csv')}:175, as ${at('gt.csv')}:1): the boxes count ` +
        'again, and only one of each can match; keep one of each',
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

  it('of the groundTruth are said however few they are, also in the files of a run', () => {
    const files = fitting(
      VIDEOS,
      Array.from({ length: 100 }, (_, i) => 902 + i),
    );
    const [first] = csv(files.groundTruth).slice(4, 5);
    const more = file('more.csv', `\n${first}\n`);
    const { warnings, alone } = evaluateWith(files, [...truthFiles(files).groundTruth, more]);
    expect(warnings).toEqual([
      `1 of 601 rows of the ground truth repeat an earlier row (first: ${more}:2, as ${at('gt.csv')}:5): the ` +
        'boxes count again, and only one of each can match; keep one of each',
    ]);
    expect(alone).toEqual(warnings);
  });

  it('with another score are said, also behind an offset of seconds', () => {
    const files = fitting();
    const others = files.predictions.slice(0, 5).map((row) => ({ ...row, last: 0.77777 }));
    const predictions = [...files.predictions, ...others];
    const sentence =
      `5 of 179 rows of the predictions that count have the box and action of an earlier row with another score ` +
      `(first: ${at('p.csv')}:175, as ${at('p.csv')}:1): each is a detection, and only the one with the highest score can ` +
      'match; keep one of each';
    expect(warningsOf({ ...files, predictions })).toEqual([sentence]);
    const early = predictions.map((row) => ({ ...row, second: Number(row.second) - 900 }));
    expect(warningsOf({ ...files, predictions: early, secondOffset: 900 })).toEqual([sentence]);
  });

  it('that give one box several persons are said', () => {
    const files = fitting();
    const [row] = files.groundTruth;
    const groundTruth = [...files.groundTruth, { ...row, id: (Number(row.id) % 3) + 1, last: 7 }];
    expect(warningsOf({ ...files, groundTruth })).toEqual([
      `1 box has several person ids in one key frame of the ground truth (first: ${at('gt.csv')}:1 says 0, ` +
        `${at('gt.csv')}:175 says 7): the ids are not evaluated, and each row counts as a box of its action; give each box one id`,
    ]);
    expect(warningsOf({ ...files, groundTruth: groundTruth.map((one) => ({ ...one, last: 0 })) })).toEqual(
      [],
    );
  });

  it('leave the number as it is', () => {
    const files = fitting();
    const { mAP, perClass } = evaluate({ ...files, groundTruth: twice(files.groundTruth) });
    const once = evaluate(files);
    expect(perClass.map(({ numGroundTruth }) => numGroundTruth)).toEqual(
      once.perClass.map(({ numGroundTruth }) => 2 * numGroundTruth),
    );
    expect(mAP).toBeLessThan(0.6);
  });
});

describe('a file', () => {
  it.each([
    ['by one path', () => at('gt.csv'), () => `${at('gt.csv')} is given twice`],
    [
      'by a link',
      () => {
        symlinkSync(at('gt.csv'), at('link.csv'));
        return at('link.csv');
      },
      () => `${at('gt.csv')} and ${at('link.csv')} are one file`,
    ],
    [
      'by a second name',
      () => {
        linkSync(at('gt.csv'), at('hard.csv'));
        return at('hard.csv');
      },
      () => `${at('gt.csv')} and ${at('hard.csv')} are one file`,
    ],
  ])('of ground truth that is given twice %s is said, and its rows are not', (_, link, fact) => {
    const files = fitting();
    const { groundTruth } = truthFiles(files);
    const { warnings, alone } = evaluateWith(files, [...groundTruth, link()]);
    const sentence = `${fact()} as ground truth: each box counts twice, and only one can match; give it once`;
    expect([warnings, alone]).toEqual([[sentence], [sentence]]);
  });

  it('that is ground truth and predictions is said', () => {
    const files = fitting();
    const rows = files.groundTruth.map((row) => ({ ...row, last: 1 }));
    const { groundTruth } = truthFiles({ ...files, groundTruth: rows });
    expect(evaluateWith({ ...files, groundTruth: rows }, groundTruth, groundTruth[0]).warnings).toContain(
      `${at('gt.csv')} is given as ground truth and as predictions: the result is meaningless; give two files`,
    );
  });
});

describe('a label map', () => {
  it('that gives one name to several ids is said', () => {
    const files = fitting();
    const all = truthFiles(files);
    const labelMap = file(
      'names.pbtxt',
      [1, 2, 3].map((id) => `item { name: "${id === 2 ? 'sit' : 'walk'}" id: ${id} }\n`).join(''),
    );
    expect(groundTruthWarnings(readGroundTruth({ ...all, labelMap }))).toEqual([
      'the label map gives 1 name to several ids (first: "walk" to 1, 3): each id is a class of its own in the mean; give ' +
        'each a name of its own',
    ]);
  });
});
