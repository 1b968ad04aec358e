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

describe('warnings about seconds', () => {
  it.each([-900, -901, 37, 5000])(
    'propose the offset that fits seconds that are off by %d, and vanish with it',
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

  it('need only a single key frame', () => {
    const files = changed(fitting(['v'], [902]), { predictions: seconds(() => 2) });
    expect(warningsOf(files)).toEqual([
      'the seconds do not match (0 of 1 key frame in common): predictions 2, ground truth 902; with 900 added to the ' +
        'predictions 1 of 1 key frame would fit: --second-offset 900',
    ]);
  });

  it('let boxes decide among several offsets', () => {
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

  it('prefer an offset of 900 if the boxes do not decide', () => {
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

  it('propose an offset if only a few key frames match', () => {
    const files = changed(fitting(), { predictions: seconds((second) => second + 25) });
    const [warning] = warningsOf(files);
    expect(warning).toContain('(12 of 87 key frames in common)');
    expect(warningsOf({ ...files, secondOffset: proposedOffset(warning) })).toEqual([]);
  });

  it.each([1, -1, 4])('propose an offset of %d that only the boxes show', (off) => {
    const files = changed(fitting(), { predictions: seconds((second) => second + off) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('the boxes do not fit those of the same seconds');
    expect(proposedOffset(warning)).toBe(-off);
    expect(warningsOf({ ...files, secondOffset: -off })).toEqual([]);
  });

  it('propose the sum with an offset that is given already', () => {
    const files = changed(fitting(), { predictions: seconds((second) => second - 900) });
    const [warning] = warningsOf({ ...files, secondOffset: 100 });
    expect(warning).toContain('predictions 102 to 130 (after 100 was added), ground truth 902 to 930');
    expect(proposedOffset(warning)).toBe(900);
  });

  it('propose the offset after the division of frame numbers if an offset is given already', () => {
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
  ])('recognise %s, and vanish if the seconds are divided', (_, unit, change, advice) => {
    const files = changed(fitting(), { predictions: seconds(change) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain(`predictions ${change(902)} to ${change(930)}, ground truth 902 to 930`);
    expect(warning).toMatch(advice);
    const mended = changed(files, { predictions: seconds((number) => Math.round(number / unit)) });
    expect(warningsOf(mended)).toEqual([]);
  });

  it('propose units and an offset for frame numbers of a clip that begins at 900', () => {
    const files = changed(fitting(), { predictions: seconds((second) => (second - 900) * 24) });
    const [warning] = warningsOf(files);
    expect(warning).toContain('divided by 24, and then with 900 added to the predictions, 87 of 87');
    const mended = changed(files, { predictions: seconds((number) => number / 24) });
    expect(warningsOf({ ...mended, secondOffset: proposedOffset(warning) })).toEqual([]);
  });

  it('recognise frame numbers in the ground truth', () => {
    const files = changed(fitting(), { groundTruth: seconds((second) => second * 30) });
    expect(warningsOf(files)[0]).toContain('the numbers of the ground truth look like frame numbers');
  });

  it('recognise numbers of single frames', () => {
    const files = changed(fitting(['v'], [902]), { predictions: seconds((second) => second * 30) });
    expect(warningsOf(files)[0]).toContain('divided by 30');
  });

  it('advise changes for the affected videos only', () => {
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

  it('show both ranges if no offset helps', () => {
    const squares = SECONDS.map((_, i) => i * i * 7 + 11);
    const files = changed(fitting(['v']), { predictions: seconds((second) => squares[second - 902]) });
    expect(warningsOf(files)[0]).toMatch(/the seconds do not match .* no offset added/);
  });

  it('count predictions without ground truth if they are the majority', () => {
    const files = fitting();
    const more = [1000, 1100, 1200].flatMap((off) =>
      files.predictions.map((row) => ({ ...row, second: Number(row.second) + off })),
    );
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...more] })).toEqual([
      '261 of 348 key frames with predictions have no ground truth, so all of their predictions count as false',
    ]);
  });

  it('count ground truth without predictions if it is the majority', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ second }) => Number(second) % 4 === 0);
    expect(warningsOf({ ...files, predictions })[0]).toMatch(
      /^66 of 87 key frames of the ground truth have no predictions/,
    );
  });

  it('are silent if both sides have key frames between whole seconds', () => {
    const files = changed(
      fitting(
        VIDEOS,
        Array.from({ length: 60 }, (_, i) => i),
      ),
      { groundTruth: seconds((n) => (n / 30).toFixed(4)), predictions: seconds((n) => (n / 30).toFixed(3)) },
    );
    expect(warningsOf(files)).toEqual([]);
    expect(evaluate(files).mAP).toBeGreaterThan(0.5);
  });

  it('propose an offset with a fraction, and not 900, if that makes key frames meet', () => {
    const files = changed(fitting(), { predictions: seconds((second) => second - 0.5) });
    const [warning] = warningsOf(files);
    expect(warning).toContain('87 of 87 key frames would fit: --second-offset 0.5');
    expect(warningsOf({ ...files, secondOffset: 0.5 })).toEqual([]);
  });

  it('do not propose 900 for data that begin at 0', () => {
    const files = changed(fitting(), {
      groundTruth: seconds((second) => (second - 902) / 2),
      predictions: seconds((second) => (second - 902) / 2),
    });
    expect(warningsOf(files)).toEqual([]);
    const late = changed(files, { predictions: seconds((time) => time + 900) });
    expect(warningsOf(late)[0]).toContain('--second-offset -900');
  });

  it('recognise frame numbers if the ground truth has key frames between whole seconds', () => {
    const files = changed(fitting(), {
      groundTruth: seconds((second) => (second - 902) / 2),
      predictions: seconds((second) => (second - 902) * 15),
    });
    expect(warningsOf(files)[0]).toContain('divided by 30 87 of 87 key frames would fit');
    expect(warningsOf(changed(files, { predictions: seconds((frame) => frame / 30) }))).toEqual([]);
  });

  it('count key frames between whole seconds that only one side has', () => {
    const files = fitting();
    const between = [0.25, 0.5].flatMap((off) =>
      files.predictions.map((row) => ({ ...row, second: Number(row.second) + off })),
    );
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...between] })).toEqual([
      '174 of 261 key frames with predictions have no ground truth, so all of their predictions count as false',
    ]);
  });
});
