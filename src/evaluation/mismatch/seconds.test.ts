/** @file Seconds that do not meet, and the remedy that is proposed. */
import { describe, expect, it } from 'vitest';
import {
  changed,
  evaluate,
  fitting,
  proposedOffset,
  type Row,
  SECONDS,
  seconds,
  VIDEOS,
  warningsOf,
} from '../../../test/support/mismatched_files.js';

describe('seconds', () => {
  it.each([-900, -901, 37, 5000])(
    'that are off by %d draw the offset that fits, and with it no warning',
    (off) => {
      const files = changed(fitting(), { predictions: seconds((second) => second + off) });
      const [warning, ...others] = warningsOf(files);
      expect(others).toEqual([]);
      expect(warning).toContain(`predictions ${902 + off} to ${930 + off}, ground truth 902 to 930`);
      expect(warning).toContain(`87 of 87 key frames would fit: --second-offset ${-off}`);
      const mended = evaluate({ ...files, secondOffset: proposedOffset(warning) });
      expect(mended.warnings).toEqual([]);
      expect(mended.mAP).toBe(evaluate(fitting()).mAP);
    },
  );

  it('of a single key frame are enough', () => {
    const files = changed(fitting(['v'], [902]), { predictions: seconds(() => 2) });
    expect(warningsOf(files)).toEqual([
      'the seconds do not match (0 of 1 key frame in common): predictions 2, ground truth 902; with 900 added to the ' +
        'predictions 1 of 1 key frame would fit: --second-offset 900',
    ]);
  });

  it('that several offsets bring together are decided by the boxes', () => {
    const files = changed(
      fitting(
        VIDEOS,
        Array.from({ length: 200 }, (_, i) => 902 + i),
      ),
      {
        predictions: seconds((second) => second - 950),
      },
    );
    const predictions = files.predictions.filter(({ second }) => Number(second) >= 0 && Number(second) < 20);
    expect(warningsOf({ ...files, predictions })[0]).toContain('--second-offset 950');
  });

  it('are 900 off where boxes say nothing', () => {
    const files = changed(
      fitting(
        VIDEOS,
        Array.from({ length: 200 }, (_, i) => 902 + i),
      ),
      {
        predictions: (row) => ({ ...row, second: Number(row.second) - 900, box: [0, 0, 0.01, 0.01] }),
      },
    );
    const predictions = files.predictions.filter(({ second }) => Number(second) < 20);
    expect(warningsOf({ ...files, predictions })[0]).toContain('--second-offset 900');
  });

  it('that meet in a few key frames only are off too', () => {
    const files = changed(fitting(), { predictions: seconds((second) => second + 25) });
    const [warning] = warningsOf(files);
    expect(warning).toContain('(12 of 87 key frames in common)');
    expect(warningsOf({ ...files, secondOffset: proposedOffset(warning) })).toEqual([]);
  });

  it.each([1, -1, 4])('that are off by %d, which the boxes tell, draw the offset too', (off) => {
    const files = changed(fitting(), { predictions: seconds((second) => second + off) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('the boxes do not fit those of the same seconds');
    expect(proposedOffset(warning)).toBe(-off);
    expect(warningsOf({ ...files, secondOffset: -off })).toEqual([]);
  });

  it('with an offset given already draw the sum', () => {
    const files = changed(fitting(), { predictions: seconds((second) => second - 900) });
    const [warning] = warningsOf({ ...files, secondOffset: 100 });
    expect(warning).toContain('predictions 102 to 130 (after 100 was added), ground truth 902 to 930');
    expect(proposedOffset(warning)).toBe(900);
  });

  it('that are frames, with an offset given already, draw the offset that is right after the division', () => {
    const files = changed(fitting(), { predictions: seconds((second) => (second - 900) * 30) });
    const mended = changed(files, { predictions: seconds((number) => number / 30) });
    const [other] = warningsOf({ ...files, secondOffset: 300 });
    expect(other).toContain('divided by 30, and then with 900 added to the predictions, 87 of 87');
    expect(warningsOf({ ...mended, secondOffset: proposedOffset(other) })).toEqual([]);
    const [right] = warningsOf({ ...files, secondOffset: 900 });
    expect(right).toMatch(/divided by 30 87 of 87 key frames would fit$/);
    expect(warningsOf({ ...mended, secondOffset: 900 })).toEqual([]);
  });

  it.each<[string, number, (second: number) => number, RegExp]>([
    [
      'milliseconds',
      1000,
      (s) => s * 1000,
      /look like milliseconds: with every one divided by 1000 87 of 87/,
    ],
    [
      'frames at 30 a second',
      30,
      (s) => s * 30,
      /look like frame numbers: with every one divided by 30 87 of 87/,
    ],
    ['frames at 25 a second', 25, (s) => s * 25, /frame numbers: with every one divided by 25 87 of 87/],
    ['frames at an odd rate', 17, (s) => s * 17, /frame numbers: with every one divided by 17 87 of 87/],
    ['frames at 29.97 a second', 29.97, (s) => Math.round(s * 29.97), /divided by 29.97 87 of 87/],
  ])('that are %s are recognised, and fit if divided', (_, unit, change, advice) => {
    const files = changed(fitting(), { predictions: seconds(change) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain(`predictions ${change(902)} to ${change(930)}, ground truth 902 to 930`);
    expect(warning).toMatch(advice);
    const mended = changed(files, { predictions: seconds((number) => Math.round(number / unit)) });
    expect(warningsOf(mended)).toEqual([]);
  });

  it('that are frames of a clip which begins at 900 need the offset too', () => {
    const files = changed(fitting(), { predictions: seconds((second) => (second - 900) * 24) });
    const [warning] = warningsOf(files);
    expect(warning).toContain('divided by 24, and then with 900 added to the predictions, 87 of 87');
    const mended = changed(files, { predictions: seconds((number) => number / 24) });
    expect(warningsOf({ ...mended, secondOffset: proposedOffset(warning) })).toEqual([]);
  });

  it('of the groundTruth may be the frames', () => {
    const files = changed(fitting(), { groundTruth: seconds((second) => second * 30) });
    expect(warningsOf(files)[0]).toContain('the numbers of the ground truth look like frame numbers');
  });

  it('of single frames are recognised', () => {
    const files = changed(fitting(['v'], [902]), { predictions: seconds((second) => second * 30) });
    expect(warningsOf(files)[0]).toContain('divided by 30');
  });

  it('that are off in nine of ten videos are to be changed there only', () => {
    const videos = Array.from({ length: 10 }, (_, i) => `film${i}`);
    const shift = (row: Row) => (row.video === 'film0' ? row : { ...row, second: Number(row.second) - 900 });
    const files = changed(fitting(videos), { predictions: shift });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('in 9 of 10 videos ("film1", "film2", "film3", …) the seconds do not match');
    expect(warning).toContain(
      'with 900 added to the predictions of these videos 261 of 261 key frames would fit',
    );
    expect(warning).not.toContain('--second-offset');
  });

  it('that no offset brings together are shown as they are', () => {
    const squares = SECONDS.map((_, i) => i * i * 7 + 11);
    const files = changed(fitting(['v']), { predictions: seconds((second) => squares[second - 902]) });
    expect(warningsOf(files)[0]).toMatch(/the seconds do not match .* no whole number of seconds/);
  });

  it('of most predictions without groundTruth are counted', () => {
    const files = fitting();
    const more = [1000, 1100, 1200].flatMap((off) =>
      files.predictions.map((row) => ({ ...row, second: Number(row.second) + off })),
    );
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...more] })).toEqual([
      '261 of 348 key frames with predictions have no ground truth, so all of their predictions count as false',
    ]);
  });

  it('of most trueBoxes without predictions are counted', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ second }) => Number(second) % 4 === 0);
    expect(warningsOf({ ...files, predictions })[0]).toMatch(
      /^66 of 87 key frames of the ground truth have no predictions/,
    );
  });

  it('with fractions that fall together are said', () => {
    const files = fitting();
    const between = files.predictions.map((row) => ({ ...row, second: `${row.second}.5`, last: 0.1 }));
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...between] })).toEqual([
      expect.stringMatching(
        /^fractions of seconds are cut off, so 174 of 348 rows of the predictions fall into/,
      ),
    ]);
    expect(warningsOf({ ...files, predictions: between.map((row) => ({ ...row, last: 0.2 })) })).toEqual([]);
  });
});
