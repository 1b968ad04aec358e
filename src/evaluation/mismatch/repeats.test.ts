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

describe('warnings about repeated rows', () => {
  it('count repeats on both sides and name the first of each', () => {
    const files = fitting();
    expect(
      warningsOf({ ...files, predictions: twice(files.predictions), groundTruth: twice(files.groundTruth) }),
    ).toEqual([
      '174 of 348 evaluated rows of the predictions and 174 of 348 evaluated rows of the ground truth repeat an earlier ' +
        `row (first: ${at('p.csv')}:175, like ${at('p.csv')}:1 and ${at('gt.csv')}:175, like ${at('gt.csv')}:1): each box ` +
        'counts again, and only one can match; keep one of each',
    ]);
  });

  it('count all repeats among many key frames', () => {
    const files = fitting(
      VIDEOS,
      Array.from({ length: 400 }, (_, i) => 902 + i),
    );
    const [warning] = warningsOf({ ...files, predictions: [...files.predictions, ...files.predictions] });
    expect(warning).toContain('2,400 of 4,800 evaluated rows');
  });

  it('report even a single repeat in the ground truth, also for the files of a run', () => {
    const files = fitting(
      VIDEOS,
      Array.from({ length: 100 }, (_, i) => 902 + i),
    );
    const [first] = csv(files.groundTruth).slice(4, 5);
    const more = file('more.csv', `\n${first}\n`);
    const { warnings, alone } = evaluateWith(files, [...truthFiles(files).groundTruth, more]);
    expect(warnings).toEqual([
      `1 of 601 evaluated rows of the ground truth repeat an earlier row (first: ${more}:2, like ${at('gt.csv')}:5): each ` +
        'box counts again, and only one can match; keep one of each',
    ]);
    expect(alone).toEqual(warnings);
  });

  it('report repeats with another score, also with an offset of seconds', () => {
    const files = fitting();
    const others = files.predictions.slice(0, 5).map((row) => ({ ...row, last: 0.77777 }));
    const predictions = [...files.predictions, ...others];
    const sentence =
      `5 of 179 evaluated rows of the predictions have the box and action of an earlier row with another score ` +
      `(first: ${at('p.csv')}:175, like ${at('p.csv')}:1): each is a detection, and only the one with the highest score can ` +
      'match; keep one of each';
    expect(warningsOf({ ...files, predictions })).toEqual([sentence]);
    const early = predictions.map((row) => ({ ...row, second: Number(row.second) - 900 }));
    expect(warningsOf({ ...files, predictions: early, secondOffset: 900 })).toEqual([sentence]);
  });

  it('report boxes with several person ids', () => {
    const files = fitting();
    const [row] = files.groundTruth;
    const groundTruth = [...files.groundTruth, { ...row, id: (Number(row.id) % 3) + 1, last: 7 }];
    expect(warningsOf({ ...files, groundTruth })).toEqual([
      `1 box has several person ids in one key frame of the ground truth (first: ${at('gt.csv')}:1 has 0, ` +
        `${at('gt.csv')}:175 has 7): the ids are not evaluated, and each row counts as a box of its action; give each box one id`,
    ]);
    expect(warningsOf({ ...files, groundTruth: groundTruth.map((one) => ({ ...one, last: 0 })) })).toEqual(
      [],
    );
  });

  it('do not change the mAP', () => {
    const files = fitting();
    const { mAP, perClass } = evaluate({ ...files, groundTruth: twice(files.groundTruth) });
    const once = evaluate(files);
    expect(perClass.map(({ numGroundTruth }) => numGroundTruth)).toEqual(
      once.perClass.map(({ numGroundTruth }) => 2 * numGroundTruth),
    );
    expect(mAP).toBeLessThan(0.6);
  });
});

describe('warnings about files', () => {
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
  ])('report a ground truth file that is given twice %s, but not its rows', (_, link, fact) => {
    const files = fitting();
    const { groundTruth } = truthFiles(files);
    const { warnings, alone } = evaluateWith(files, [...groundTruth, link()]);
    const sentence = `${fact()} as ground truth: each box counts twice, and only one can match; give it once`;
    expect([warnings, alone]).toEqual([[sentence], [sentence]]);
  });

  it('report a file that is both ground truth and predictions', () => {
    const files = fitting();
    const rows = files.groundTruth.map((row) => ({ ...row, last: 1 }));
    const { groundTruth } = truthFiles({ ...files, groundTruth: rows });
    expect(evaluateWith({ ...files, groundTruth: rows }, groundTruth, groundTruth[0]).warnings).toContain(
      `${at('gt.csv')} is given as ground truth and as predictions: the result is meaningless; give two files`,
    );
  });
});

describe('warnings about a label map', () => {
  it('report a name with several ids', () => {
    const files = fitting();
    const all = truthFiles(files);
    const labelMap = file(
      'names.pbtxt',
      [1, 2, 3].map((id) => `item { name: "${id === 2 ? 'sit' : 'walk'}" id: ${id} }\n`).join(''),
    );
    expect(groundTruthWarnings(readGroundTruth({ ...all, labelMap }))).toEqual([
      'the label map gives 1 name to several ids (first: "walk" to 1, 3): each id is a separate class in the mean; ' +
        'give each its own name',
    ]);
  });
});
