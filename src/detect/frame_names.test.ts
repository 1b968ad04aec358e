/** @file The order of frames, and what their numbers tell. */
import { expect, it } from 'vitest';
import { orderFrames } from './frame_names.js';

const numbered = (numbers: readonly number[], prefix = 'frame_', ending = '.jpg') =>
  numbers.map((n) => `${prefix}${String(n).padStart(6, '0')}${ending}`);
const range = (from: number, count: number, step = 1) =>
  Array.from({ length: count }, (_, i) => from + i * step);
const warnings = (files: readonly string[], fps = 30) => orderFrames(files, fps).warnings;

it('sorts numbers by value, without warnings if there are no gaps', () => {
  const { names, warnings } = orderFrames(['f10.jpg', 'f9.jpg', 'f11.jpg'], 10);
  expect([names, warnings]).toEqual([['f9.jpg', 'f10.jpg', 'f11.jpg'], []]);
});

it.each([
  ['the layout of AVA', numbered(range(1, 40), '-5KQ66BBWC4_')],
  ['a cut that begins later', numbered(range(27001, 40))],
  ['a number that all have', range(1, 12).map((n) => `cam2_${n}_1080p.jpg`)],
  ['one image', ['cover.jpg']],
])('reports nothing about %s', (_, files) => {
  expect(warnings(files)).toEqual([]);
});

it('counts missing numbers and reports their effect on time', () => {
  expect(warnings(numbered([1, 2, 5]), 10)).toEqual([
    expect.stringMatching(
      /^2 numbers are missing .*\(gap: frame_000002\.jpg, frame_000005\.jpg\): .*consecutive.* too early, by 0\.2 s/,
    ),
  ]);
  expect(warnings(numbered([...range(1, 10), ...range(21, 10), ...range(32, 5)]))).toEqual([
    expect.stringMatching(/^11 numbers are missing .*\(first gap: frame_000010\.jpg, frame_000021\.jpg\)/),
  ]);
});

it('reports the AVA.FPS that a constant step requires', () => {
  expect(warnings(numbered(range(1, 9, 5)))).toEqual([
    expect.stringMatching(
      /in steps of 5 \(frame_000001\.jpg, frame_000006\.jpg\): .*1\/5 of its rate, e\.g\. AVA\.FPS 6 for 30 frames per second$/,
    ),
  ]);
  expect(warnings(numbered(range(0, 9, 7)))).toEqual([expect.stringMatching(/1\/7 of its rate$/)]);
  expect(orderFrames(numbered(range(1, 9, 5)), 6)).toMatchObject({
    notes: [
      expect.stringMatching(/in steps of 5 .*AVA\.FPS 6 is correct for one in 5 frames of a video with 30/),
    ],
    warnings: [],
  });
  expect(warnings(numbered([...range(0, 9, 5), 60, 65]))).toEqual([
    expect.stringMatching(/in steps of 5/),
    expect.stringMatching(/^3 numbers are missing .*frame_000040\.jpg, frame_000060\.jpg/),
  ]);
});

it('warns about uneven numbers', () => {
  expect(warnings(numbered([1000, 1033, 1066, 1101, 1133, 1170]))).toEqual([
    expect.stringMatching(/increase unevenly \(e\.g\. frame_001000\.jpg, frame_001033\.jpg\)/),
  ]);
});

it('recognises several videos in one folder', () => {
  const files = [...numbered(range(1, 5), 'cam1_'), ...numbered(range(1, 7), 'cam2_')];
  expect(warnings(files)).toEqual([
    expect.stringMatching(/2 numbered series \(cam1_#: 5, cam2_#: 7\).* its own folder$/),
  ]);
});

it('names images without a number', () => {
  expect(warnings([...numbered(range(1, 5)), 'cover.jpg'])).toEqual([
    expect.stringMatching(/^1 image has no number in the name \(first: cover\.jpg\)/),
  ]);
  expect(warnings(['b.jpg', 'a.jpg'])).toEqual([expect.stringMatching(/alphabetical order/)]);
});

it('uses one file of a frame with two extensions', () => {
  const { names, warnings } = orderFrames([...numbered(range(1, 4)), 'frame_000002.png'], 10);
  expect(names).toEqual(numbered(range(1, 4)));
  expect(warnings).toEqual([
    expect.stringMatching(
      /^1 frame has several files .*first: frame_000002\.jpg, frame_000002\.png\); .*used \(frame_000002\.jpg\)/,
    ),
  ]);
});

it('names duplicate numbers', () => {
  expect(warnings(['f_1.jpg', 'f_01.jpg', 'f_2.jpg'])).toEqual([
    expect.stringMatching(/^1 number occurs twice \(first: f_0?1\.jpg, f_0?1\.jpg\)/),
  ]);
});
