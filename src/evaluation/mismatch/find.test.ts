/** @file Warnings about files that do not fit: each kind of misfit, its remedy followed, and silence where all fits. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rng } from '../../util/random.js';
import { evaluateFiles, type FileResults, readTruth, truthWarnings } from '../evaluate_files.js';

type Box = [number, number, number, number];

/** A row of either file; `last` is the score or the person id. */
interface Row {
  video: string;
  second: number | string;
  box: Box;
  id: number | string;
  last?: number | string;
}

interface Files {
  truth: Row[];
  predictions: Row[];
  labels: number[];
  excluded?: string;
  secondOffset?: number;
}

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stmixer-mismatch-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const csv = (rows: readonly Row[]) =>
  rows.map(({ video, second, box, id, last }) =>
    [video, second, ...box, id, ...(last === undefined ? [] : [last])].join(),
  );
const lines = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join('');

function truthFiles({ truth, labels, excluded }: Files) {
  return {
    groundTruth: [file('gt.csv', lines(csv(truth)))],
    labelMap: file('map.pbtxt', labels.map((id) => `item { name: "action ${id}" id: ${id} }\n`).join('')),
    exclude: excluded === undefined ? undefined : file('excluded.csv', excluded),
  };
}

function evaluate(files: Files): FileResults {
  const predictions = file('p.csv', lines(csv(files.predictions)));
  return evaluateFiles(truthFiles(files), predictions, { secondOffset: files.secondOffset });
}

const warningsOf = (files: Files) => evaluate(files).warnings;

const VIDEOS = ['a_one', 'b_two', 'c_three'];
const SECONDS = Array.from({ length: 29 }, (_, i) => 902 + i);

/** Three videos of 29 key frames with two people, and predictions near them that find most. */
function fitting(videos: readonly string[] = VIDEOS, seconds: readonly number[] = SECONDS): Files {
  const rng = Rng.forName(0, 'mismatch');
  const truth: Row[] = [];
  const predictions: Row[] = [];
  for (const video of videos) {
    for (const second of seconds) {
      for (let person = 0; person < 2; person++) {
        const [x, y] = [rng.uniformBetween(0, 0.6), rng.uniformBetween(0, 0.4)];
        const box = rounded([x, y, x + rng.uniformBetween(0.15, 0.4), y + rng.uniformBetween(0.3, 0.6)]);
        const id = 1 + rng.int(3);
        truth.push({ video, second, box, id, last: person });
        const near = rounded(box.map((value) => value + rng.uniformBetween(-0.01, 0.01)));
        predictions.push({ video, second, box: near, id, last: rng.uniform().toFixed(5) });
      }
    }
  }
  return { truth, predictions, labels: [1, 2, 3] };
}

const rounded = (box: number[]) => box.map((value) => Number(value.toFixed(5))) as Box;

/** The files with changed predictions or truth. */
function changed(
  files: Files,
  changes: { predictions?: (row: Row) => Row; truth?: (row: Row) => Row },
): Files {
  const same = (row: Row) => row;
  return {
    ...files,
    predictions: files.predictions.map(changes.predictions ?? same),
    truth: files.truth.map(changes.truth ?? same),
  };
}

const boxes = (change: (box: Box) => number[]) => (row: Row) => ({ ...row, box: change(row.box) as Box });
const scaled = (width: number, height: number) =>
  boxes(([x1, y1, x2, y2]) => [x1 * width, y1 * height, x2 * width, y2 * height]);
const names = (change: (name: string) => string) => (row: Row) => ({ ...row, video: change(row.video) });
const seconds = (change: (second: number) => number | string) => (row: Row) => ({
  ...row,
  second: change(Number(row.second)),
});
const ids = (change: (id: number) => number) => (row: Row) => ({ ...row, id: change(Number(row.id)) });

describe('files that fit', () => {
  it('draw no warning', () => {
    expect(evaluate(fitting())).toMatchObject({ warnings: [] });
    expect(evaluate(fitting()).mAP).toBeGreaterThan(0.9);
  });

  it('draw none if the detector also looks at seconds and boxes that have no truth', () => {
    const files = fitting();
    const extra = files.predictions.flatMap((row) => {
      const other = { ...row, box: rounded(row.box.map((value) => value / 3)), last: 0.1 };
      return Number(row.second) % 3 === 0 ? [other, { ...other, second: Number(row.second) + 50 }] : [other];
    });
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...extra] })).toEqual([]);
  });

  it('draw none if both sides are in pixels, which overlap the same', () => {
    const files = changed(fitting(), { predictions: scaled(320, 240), truth: scaled(320, 240) });
    expect(warningsOf(files)).toEqual([]);
  });

  it("draw none for AVA's 80 actions of which the label map has 60", () => {
    const left = [2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75];
    const labels = Array.from({ length: 80 }, (_, i) => i + 1).filter((id) => !left.includes(id));
    const files = fitting();
    const rows = files.truth.map((row, i) => ({ ...row, id: 1 + (i % 80) }));
    const predictions = files.predictions.map((row, i) => ({ ...row, id: 1 + (i % 80) }));
    expect(warningsOf({ truth: rows, predictions, labels })).toEqual([]);
    expect(truthWarnings(readTruth(truthFiles({ truth: rows, predictions, labels })))).toEqual([]);
  });

  it('draw none if a model scores 80 classes of which the label map has three', () => {
    const files = fitting(['v'], SECONDS);
    const predictions = files.predictions.flatMap((row) =>
      Array.from({ length: 80 }, (_, i) => ({ ...row, id: i + 1, last: i === row.id ? 0.9 : (i + 1) / 100 })),
    );
    expect(warningsOf({ ...files, predictions })).toEqual([]);
  });

  it('draw none for exclusions of seconds that nobody is labelled at', () => {
    const files = fitting(
      VIDEOS,
      SECONDS.filter((second) => second !== 910),
    );
    expect(warningsOf({ ...files, excluded: 'a_one,0910\n' })).toEqual([]);
    expect(warningsOf({ ...fitting(), excluded: 'a_one,0910\nelsewhere,0902\n' })).toEqual([]);
  });
});

describe('videos', () => {
  it.each<[string, (name: string) => string, string]>([
    ['an extension', (name) => `${name}.mp4`, 'without ".mp4" 3 of 3 names would fit'],
    ['a folder', (name) => `data/val/${name}`, 'without "data/val/" 3 of 3 names would fit'],
    [
      'a folder and an extension',
      (name) => `C:\\v\\${name}.mkv`,
      'without ".mkv" and without "C:\\\\v\\\\" 3 of 3',
    ],
    ['another case', (name) => name.toUpperCase(), 'in lower case 3 of 3 names would fit'],
    ['hyphens', (name) => name.replace('_', '-'), 'without spaces, "_" and "-" 3 of 3 names would fit'],
    ['no underscores', (name) => name.replace('_', ''), 'without spaces, "_" and "-" 3 of 3 names would fit'],
    ['an addition', (name) => `clip:${name}@30`, 'without "clip:" and "@30" 3 of 3 names would fit'],
  ])('that differ in %s are named with what would fit, and fit then', (_, change, advice) => {
    const [warning, ...others] = warningsOf(changed(fitting(), { predictions: names(change) }));
    expect(others).toEqual([]);
    expect(warning).toContain('no video is in both files');
    expect(warning).toContain('"a_one"');
    expect(warning).toContain(JSON.stringify(change('a_one')));
    expect(warning).toContain(advice);
    // The advice followed: the names of the predictions become those of the truth.
    expect(warningsOf(fitting())).toEqual([]);
  });

  it.each([
    ['video1', 'video001', 'without leading zeros of numbers'],
    ['caf\u00e9', 'cafe\u0301', 'in one Unicode form (NFC)'],
    ['Film A', 'film_a', 'in lower case and without spaces, "_" and "-"'],
  ])('%s and %s are seen to be one', (labelled, predicted, advice) => {
    const files = changed(fitting(['v']), {
      truth: names(() => labelled),
      predictions: names(() => predicted),
    });
    expect(warningsOf(files)).toEqual([expect.stringContaining(`${advice} 1 of 1 name would fit`)]);
  });

  it('of which the truth has the longer name are found too', () => {
    const files = changed(fitting(), { truth: names((name) => `${name}.avi`) });
    expect(warningsOf(files)[0]).toContain('without ".avi" 3 of 3 names would fit');
  });

  it('that have nothing in common are shown from both sides', () => {
    const files = changed(fitting(), { predictions: names((name) => `x${name.length}`) });
    expect(warningsOf(files)).toEqual([
      'no video is in both files: the predictions have "x5", "x7", the ground truth "a_one", "b_two", "c_three"',
    ]);
  });

  it('are counted if one fits and nine do not', () => {
    const videos = Array.from({ length: 10 }, (_, i) => `film${i}`);
    const files = changed(fitting(videos), {
      predictions: names((name) => (name === 'film0' ? name : `${name}.mp4`)),
    });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('9 of 10 videos of the predictions are not in the ground truth ("film1.mp4", ');
    expect(warning).toContain('9 of 10 videos of the ground truth have no predictions ("film1", ');
    expect(warning).toContain('without ".mp4" 9 of 9 names would fit');
  });

  it('without predictions are named', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ video }) => video !== 'b_two');
    expect(warningsOf({ ...files, predictions })).toEqual([
      '1 of 3 videos of the ground truth has no predictions ("b_two")',
    ]);
  });
});

/** The number in the advice `--second-offset N`. */
function proposedOffset(warning: string): number {
  return Number(/--second-offset (-?[\d.]+)/.exec(warning)?.[1]);
}

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
      'the seconds do not meet (0 of 1 key frame in common): predictions 2, ground truth 902; with 900 added to the ' +
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

  it('of the truth may be the frames', () => {
    const files = changed(fitting(), { truth: seconds((second) => second * 30) });
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
    expect(warning).toContain('in 9 of 10 videos ("film1", "film2", "film3", …) the seconds do not meet');
    expect(warning).toContain(
      'with 900 added to the predictions of these videos 261 of 261 key frames would fit',
    );
    expect(warning).not.toContain('--second-offset');
  });

  it('that no offset brings together are shown as they are', () => {
    const squares = SECONDS.map((_, i) => i * i * 7 + 11);
    const files = changed(fitting(['v']), { predictions: seconds((second) => squares[second - 902]) });
    expect(warningsOf(files)[0]).toMatch(/the seconds do not meet .* no whole number of seconds/);
  });

  it('of most predictions without truth are counted', () => {
    const files = fitting();
    const more = [1000, 1100, 1200].flatMap((off) =>
      files.predictions.map((row) => ({ ...row, second: Number(row.second) + off })),
    );
    expect(warningsOf({ ...files, predictions: [...files.predictions, ...more] })).toEqual([
      '261 of 348 key frames with predictions have no ground truth, and all that is predicted there counts as false',
    ]);
  });

  it('of most truths without predictions are counted', () => {
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

describe('boxes', () => {
  it.each<[string, number, number, string]>([
    ['pixels', 320, 240, "look like pixels: divide x by the picture's width and y by its height"],
    ['percent', 100, 100, 'look like percent: divide them by 100'],
    ['thousandths', 1000, 1000, 'look like thousandths: divide them by 1000'],
    ['pixels of a large picture', 1920, 1080, 'look like pixels'],
  ])('in %s are recognised on either side, and fit if divided', (_, width, height, advice) => {
    for (const side of ['predictions', 'truth'] as const) {
      const files = changed(fitting(), { [side]: scaled(width, height) });
      const [warning, ...others] = warningsOf(files);
      expect(others).toEqual([]);
      const name = side === 'truth' ? 'ground truth' : 'predictions';
      expect(warning).toMatch(new RegExp(`^the boxes of the ${name} reach from -?[\\d.]+ to \\d{2}`));
      expect(warning).toContain("coordinates must be fractions of the picture's width and height");
      expect(warning).toContain(advice);
      expect(warningsOf(changed(files, { [side]: scaled(1 / width, 1 / height) }))).toEqual([]);
    }
  });

  it('in pixels are told from their reach where nothing else fits', () => {
    const files = changed(fitting(['v']), { predictions: scaled(319, 239), truth: names(() => 'other') });
    expect(warningsOf(files)[1]).toContain('these look like pixels');
  });

  it('in pixels in a few rows are counted', () => {
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
  ])('as %s are recognised by what they would find', (_, change, columns) => {
    const warnings = warningsOf(changed(fitting(), { predictions: boxes(change) }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`the columns of the predictions look like ${columns}: read so, `);
  });

  it('as x, y, width, height in pixels are recognised at once', () => {
    const sizes = boxes(([x1, y1, x2, y2]) => [x1 * 320, y1 * 240, (x2 - x1) * 320, (y2 - y1) * 240]);
    const warnings = warningsOf(changed(fitting(), { predictions: sizes }));
    expect(warnings[0]).toContain('these look like pixels');
    expect(warnings[1]).toContain('the columns of the predictions look like x, y, width, height');
  });

  it('that reach a little too far are counted, and not taken for another unit', () => {
    const files = fitting();
    const predictions = files.predictions.map((row, i) =>
      i === 0 ? { ...row, box: [0.1, 0.1, 2.5, 0.9] as Box } : row,
    );
    const [warning, ...others] = warningsOf({ ...files, predictions });
    expect(others).toEqual([]);
    expect(warning).toMatch(/and height, which those of 1 of 174 boxes are not$/);
  });

  it('without an area are counted', () => {
    const files = fitting();
    const predictions = files.predictions.map((row, i) =>
      i < 5 ? { ...row, box: [0.5, 0.1, 0.4, 0.9] as Box } : row,
    );
    expect(warningsOf({ ...files, predictions })).toEqual([
      '5 of 174 boxes of the predictions have no area (x2 ≤ x1 or y2 ≤ y1) and count for nothing',
    ]);
  });

  it('of the truth without an area are counted, and inverted ones are an error as before', () => {
    const files = fitting();
    const flat = files.truth.map((row, i) => (i === 0 ? { ...row, box: [0.4, 0.1, 0.4, 0.9] as Box } : row));
    expect(warningsOf({ ...files, truth: flat })).toEqual([
      expect.stringContaining(
        '1 of 174 boxes of the ground truth have no area (x2 ≤ x1 or y2 ≤ y1) and can never be found',
      ),
    ]);
    const inverted = files.truth.map((row, i) =>
      i === 0 ? { ...row, box: [0.5, 0.1, 0.4, 0.9] as Box } : row,
    );
    expect(() => warningsOf({ ...files, truth: inverted })).toThrow(/gt\.csv:1: inverted box/);
  });

  it('are compared where names and seconds would fit', () => {
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

describe('files with every fault at once', () => {
  it('fit when all that is advised is done', () => {
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
    expect(warnings[2]).toContain("divide x by the picture's width and y by its height");
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

describe('ids', () => {
  it('that the label map lacks are counted on both sides', () => {
    const files = changed(fitting(), {
      predictions: ids((id) => (id === 3 ? 99 : id)),
      truth: ids((id) => (id === 3 ? 7 : id)),
    });
    const rows = (side: Row[], id: number) => side.filter((row) => row.id === id).length;
    const [warning] = warningsOf(files);
    expect(warning).toBe(
      `the label map, which has 3 ids (1 to 3), lacks id 99 of the predictions, in ${rows(files.predictions, 99)} of ` +
        `174 rows and id 7 of the ground truth, in ${rows(files.truth, 7)} of 174 rows: these rows count for nothing`,
    );
  });

  it.each(['predictions', 'truth'] as const)('from 0 in the %s fit with 1 added', (side) => {
    const files = changed(fitting(), { [side]: ids((id) => id - 1) });
    const name = side === 'truth' ? 'ground truth' : 'predictions';
    const warnings = warningsOf(files);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`lacks id 0 of the ${name}`);
    expect(warnings[0]).toContain(`with 1 added to every id of the ${name} 3 of 3 ids would be in it`);
    expect(warningsOf(changed(files, { [side]: ids((id) => id + 1) }))).toEqual([]);
  });

  it('one off that are all in the label map are recognised by the boxes', () => {
    const files = changed({ ...fitting(), labels: [1, 2, 3, 4, 5] }, { truth: ids((id) => id + 1) });
    const [warning, ...others] = warningsOf(files);
    expect(others).toEqual([]);
    expect(warning).toContain('with 1 added to every id of the predictions');
    expect(warningsOf(changed(files, { predictions: ids((id) => id + 1) }))).toEqual([]);
  });

  it('that are places in the label map are recognised', () => {
    const labels = [12, 14, 17];
    const files = changed({ ...fitting(), labels }, { truth: ids((id) => labels[id - 1]) });
    expect(warningsOf(files)[0]).toContain(
      'in this place of the label map, counted from 1, instead of every id',
    );
    const mended = changed(files, { predictions: ids((id) => labels[id - 1]) });
    expect(warningsOf(mended)).toEqual([]);
  });

  it('of another data set are listed', () => {
    const warnings = warningsOf({ ...fitting(), labels: [101, 105] });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      '2 ids (101 to 105), lacks 3 ids (1, 2, 3) of the predictions, in 174 of 174 rows',
    );
    expect(evaluate({ ...fitting(), labels: [101, 105] }).mAP).toBeNull();
  });

  it('with truth but without predictions are named', () => {
    const files = fitting();
    const predictions = files.predictions.filter(({ id }) => id === 1);
    const warnings = warningsOf({ ...files, predictions });
    expect(warnings).toContain(
      '2 of 3 classes with ground truth have no predictions and count as 0 in the mean: 2 "action 2", 3 "action 3"',
    );
  });
});

describe('rows', () => {
  it('that are not there at all are said for each file', () => {
    const files = fitting();
    expect(warningsOf({ ...files, predictions: [] })).toEqual([
      `${join(folder, 'p.csv')} (predictions) has no rows: nobody is found`,
    ]);
    const noTruth = evaluate({ ...files, truth: [] });
    expect(noTruth.warnings).toEqual([
      `${join(folder, 'gt.csv')} (ground truth) has no rows: there is nothing to compare with`,
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

describe('an evaluation in which nothing matches', () => {
  it('says so with what was compared, if nothing else is wrong', () => {
    const files = changed(fitting(), { predictions: (row) => ({ ...row, box: [0.9, 0.9, 0.99, 0.99] }) });
    expect(warningsOf(files)).toEqual([
      expect.stringMatching(
        /^no prediction overlaps a true box .* 3 of 3 videos and 87 of 87 key frames .* predictions x 0.9 to 0.99/,
      ),
    ]);
  });
});

describe('the ground truth alone', () => {
  it('draws warnings about its rows, ids and exclusions', () => {
    const files = fitting();
    const of = (changes: Partial<Files>) => truthWarnings(readTruth(truthFiles({ ...files, ...changes })));
    expect(of({})).toEqual([]);
    expect(of({ labels: [1, 2] })).toEqual([expect.stringContaining('lacks id 3 of the ground truth')]);
    expect(of({ truth: [] })).toEqual([expect.stringContaining('has no rows')]);
    expect(of({ excluded: 'other,1\n' })).toEqual([expect.stringContaining('has no effect')]);
  });
});

describe('the cost of looking', () => {
  it('stays small for many frame numbers in many videos', () => {
    const videos = Array.from({ length: 30 }, (_, i) => `film${i}`);
    const long = Array.from({ length: 200 }, (_, i) => 902 + i);
    const files = changed(fitting(videos, long), {
      predictions: (row) => ({ ...row, second: (Number(row.second) - 900) * 30, video: `${row.video}.mp4` }),
    });
    const begin = performance.now();
    expect(warningsOf(files)[1]).toContain('divided by 30, and then with 900 added');
    expect(performance.now() - begin).toBeLessThan(20_000);
  });
});
