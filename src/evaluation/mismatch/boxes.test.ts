/** @file Boxes in other units, in other columns, or without an area. */
import { describe, expect, it } from 'vitest';
import {
  type Box,
  boxes,
  changed,
  fitting,
  names,
  scaled,
  seconds,
  warningsOf,
} from '../../../test/support/mismatched_files.js';

describe('warnings about boxes', () => {
  it.each<[string, number, number, string]>([
    ['pixels', 320, 240, "look like pixels: divide x by the image's width and y by its height"],
    ['percent', 100, 100, 'look like percent: divide them by 100'],
    ['thousandths', 1000, 1000, 'look like thousandths: divide them by 1000'],
    ['pixels of a large image', 1920, 1080, 'look like pixels'],
  ])('recognise %s on either side, and vanish if the boxes are divided', (_, width, height, advice) => {
    for (const side of ['predictions', 'groundTruth'] as const) {
      const files = changed(fitting(), { [side]: scaled(width, height) });
      const [warning, ...others] = warningsOf(files);
      expect(others).toEqual([]);
      const name = side === 'groundTruth' ? 'ground truth' : 'predictions';
      expect(warning).toMatch(new RegExp(`^the boxes of the ${name} reach from -?[\\d.]+ to \\d{2}`));
      expect(warning).toContain("coordinates must be fractions of the image's width and height");
      expect(warning).toContain(advice);
      expect(warningsOf(changed(files, { [side]: scaled(1 / width, 1 / height) }))).toEqual([]);
    }
  });

  it('recognise pixels by their range if nothing else matches', () => {
    const files = changed(fitting(['v']), {
      predictions: scaled(319, 239),
      groundTruth: names(() => 'other'),
    });
    expect(warningsOf(files)[1]).toContain('these look like pixels');
  });

  it('count a few rows in pixels', () => {
    const files = fitting();
    const predictions = files.predictions.map((row, i) => (i % 10 === 0 ? scaled(320, 240)(row) : row));
    expect(warningsOf({ ...files, predictions })[0]).toContain(
      ', which those of 18 of 174 boxes are not; these look like pixels',
    );
  });

  it.each<[string, (box: Box) => number[], string]>([
    ['x, y, width, height', ([x1, y1, x2, y2]) => [x1, y1, x2 - x1, y2 - y1], 'x, y, width, height'],
    [
      'a centre',
      ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
      'the centre, width and height',
    ],
    [
      'swapped corners',
      ([x1, y1, x2, y2]) => [x2, y2, x1, y1],
      'corners in another order than top left, bottom right',
    ],
    [
      'swapped x',
      ([x1, y1, x2, y2]) => [x2, y1, x1, y2],
      'corners in another order than top left, bottom right',
    ],
    ['y before x', ([x1, y1, x2, y2]) => [y1, x1, y2, x2], 'y1, x1, y2, x2'],
    ['both x first', ([x1, y1, x2, y2]) => [x1, x2, y1, y2], 'x1, x2, y1, y2'],
  ])('recognise %s by the matches that they would give', (_, change, columns) => {
    const warnings = warningsOf(changed(fitting(), { predictions: boxes(change) }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`the columns of the predictions look like ${columns}: with this reading, `);
  });

  it('recognise x, y, width, height in pixels', () => {
    const sizes = boxes(([x1, y1, x2, y2]) => [x1 * 320, y1 * 240, (x2 - x1) * 320, (y2 - y1) * 240]);
    const warnings = warningsOf(changed(fitting(), { predictions: sizes }));
    expect(warnings[0]).toContain('these look like pixels');
    expect(warnings[1]).toContain('the columns of the predictions look like x, y, width, height');
  });

  it('count boxes slightly outside the image without proposing another unit', () => {
    const files = fitting();
    const predictions = files.predictions.map((row, i) =>
      i === 0 ? { ...row, box: [0.1, 0.1, 2.5, 0.9] as Box } : row,
    );
    const [warning, ...others] = warningsOf({ ...files, predictions });
    expect(others).toEqual([]);
    expect(warning).toMatch(/and height, which those of 1 of 174 boxes are not$/);
  });

  it('count boxes without an area', () => {
    const files = fitting();
    const predictions = files.predictions.map((row, i) =>
      i < 5 ? { ...row, box: [0.5, 0.1, 0.4, 0.9] as Box } : row,
    );
    expect(warningsOf({ ...files, predictions })).toEqual([
      '5 of 174 boxes of the predictions have no area (x2 ≤ x1 or y2 ≤ y1) and are not evaluated',
    ]);
  });

  it('count true boxes without an area; inverted ones are an error', () => {
    const files = fitting();
    const flat = files.groundTruth.map((row, i) =>
      i === 0 ? { ...row, box: [0.4, 0.1, 0.4, 0.9] as Box } : row,
    );
    expect(warningsOf({ ...files, groundTruth: flat })).toEqual([
      expect.stringContaining(
        '1 of 174 boxes of the ground truth have no area (x2 ≤ x1 or y2 ≤ y1) and can never be found',
      ),
    ]);
    const inverted = files.groundTruth.map((row, i) =>
      i === 0 ? { ...row, box: [0.5, 0.1, 0.4, 0.9] as Box } : row,
    );
    expect(() => warningsOf({ ...files, groundTruth: inverted })).toThrow(/gt\.csv:1: inverted box/);
  });

  it('compare boxes at key frames that match after corrections', () => {
    const files = changed(fitting(), {
      predictions: (row) => scaled(320, 240)(names((name) => `${name}.mp4`)(seconds((s) => s - 900)(row))),
    });
    const warnings = warningsOf(files);
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toContain('without ".mp4"');
    expect(warnings[1]).toContain('--second-offset 900');
    expect(warnings[2]).toContain('look like pixels');
    expect(warnings[2]).toContain('of 174 true boxes would be found');
  });
});
