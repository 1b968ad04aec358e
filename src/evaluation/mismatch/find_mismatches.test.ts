/** @file Files that fit draw no warning; files with several faults fit when all advice is followed. */
import { describe, expect, it } from 'vitest';
import {
  changed,
  evaluate,
  type Files,
  fitting,
  ids,
  names,
  proposedOffset,
  rounded,
  SECONDS,
  scaled,
  seconds,
  truthFiles,
  VIDEOS,
  warningsOf,
} from '../../../test/support/mismatched_files.js';
import { groundTruthWarnings, readGroundTruth } from '../evaluate_files.js';

describe('matching files', () => {
  it('cause no warning', () => {
    expect(evaluate(fitting())).toMatchObject({ warnings: [] });
    expect(evaluate(fitting()).mAP).toBeGreaterThan(0.9);
  });

  it('cause no warning if the predictions also have seconds and boxes without ground truth', () => {
    const files = fitting();
    const extra = files.predictions.flatMap((row) => {
      const other = { ...row, box: rounded(row.box.map((value) => value / 3)), last: 0.1 };
      return Number(row.second) % 3 === 0 ? [other, { ...other, second: Number(row.second) + 50 }] : [other];
    });
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...extra] })).toEqual([]);
  });

  it('cause no warning if both sides are in pixels', () => {
    const files = changed(fitting(), { predictions: scaled(320, 240), groundTruth: scaled(320, 240) });
    expect(warningsOf(files)).toEqual([]);
  });

  it("cause no warning for AVA's 80 actions and its label map of 60", () => {
    const left = [2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75];
    const labels = Array.from({ length: 80 }, (_, i) => i + 1).filter((id) => !left.includes(id));
    const files = fitting();
    const rows = files.groundTruth.map((row, i) => ({ ...row, id: 1 + (i % 80) }));
    const predictions = files.predictions.map((row, i) => ({ ...row, id: 1 + (i % 80) }));
    expect(warningsOf({ groundTruth: rows, predictions, labels })).toEqual([]);
    expect(
      groundTruthWarnings(readGroundTruth(truthFiles({ groundTruth: rows, predictions, labels }))),
    ).toEqual([]);
  });

  it('cause no warning if a model scores 80 classes and the label map has three', () => {
    const files = fitting(['v'], SECONDS);
    const predictions = files.predictions.flatMap((row) =>
      Array.from({ length: 80 }, (_, i) => ({ ...row, id: i + 1, last: i === row.id ? 0.9 : (i + 1) / 100 })),
    );
    expect(warningsOf({ ...files, predictions })).toEqual([]);
  });

  it('cause no warning for exclusions of seconds without annotations', () => {
    const files = fitting(
      VIDEOS,
      SECONDS.filter((second) => second !== 910),
    );
    expect(warningsOf({ ...files, excluded: 'a_one,0910\n' })).toEqual([]);
    expect(warningsOf({ ...fitting(), excluded: 'a_one,0910\nelsewhere,0902\n' })).toEqual([]);
  });
});

describe('files with all mismatches at once', () => {
  it('match after all advice is followed', () => {
    const files = changed(fitting(), {
      predictions: (row) =>
        [
          names((name) => `v/${name}.mp4`),
          seconds((s) => (s - 900) * 25),
          scaled(320, 240),
          ids((id) => id - 1),
        ].reduce((changedRow, change) => change(changedRow), row),
    });
    const warnings = warningsOf(files);
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toContain('without ".mp4" and without "v/" 3 of 3 names would fit');
    expect(warnings[1]).toContain('divided by 25, and then with 900 added to the predictions');
    expect(warnings[2]).toContain("divide x by the image's width and y by its height");
    expect(warnings[3]).toContain('with 1 added to every id of the predictions');
    const mended = changed(files, {
      predictions: (row) =>
        [
          names((name) => name.replace('.mp4', '').replace('v/', '')),
          seconds((number) => number / 25),
          scaled(1 / 320, 1 / 240),
          ids((id) => id + 1),
        ].reduce((changedRow, change) => change(changedRow), row),
    });
    expect(warningsOf({ ...mended, secondOffset: proposedOffset(warnings[1]) })).toEqual([]);
  });
});

describe('an evaluation in which nothing matches', () => {
  it('describes both sides if nothing else is wrong', () => {
    const files = changed(fitting(), {
      predictions: (row) => ({ ...row, box: rounded(row.box.map((v) => 0.94 + v / 20)) }),
    });
    expect(warningsOf(files)).toEqual([
      expect.stringMatching(
        /^no prediction overlaps a true box .* 3 of 3 videos and 87 of 87 key frames .* predictions x 0.9\d+ to 0.9\d+/,
      ),
    ]);
  });
});

describe('the ground truth alone', () => {
  it('causes warnings about its rows, ids and exclusions', () => {
    const files = fitting();
    const of = (changes: Partial<Files>) =>
      groundTruthWarnings(readGroundTruth(truthFiles({ ...files, ...changes })));
    expect(of({})).toEqual([]);
    expect(of({ labels: [1, 2] })).toEqual([expect.stringContaining('lacks id 3 of the ground truth')]);
    expect(of({ groundTruth: [] })).toEqual([expect.stringContaining('has no rows')]);
    expect(of({ excluded: 'other,1\n' })).toEqual([expect.stringContaining('has no effect')]);
  });
});
