/** @file Files of an evaluation that fit, and changes that make them misfits; for tests of what is said about them. */
import { evaluateFiles, type FileResults } from '../../src/evaluation/evaluate_files.js';
import { Rng } from '../../src/util/random.js';
import { temporaryFiles } from './temporary_files.js';

export type Box = [number, number, number, number];

/** A row of either file; `last` is the score or the person id. */
export interface Row {
  video: string;
  second: number | string;
  box: Box;
  id: number | string;
  last?: number | string;
}

export interface Files {
  groundTruth: Row[];
  predictions: Row[];
  labels: number[];
  excluded?: string;
  secondOffset?: number;
}

export const { at, file } = temporaryFiles();

export const csv = (rows: readonly Row[]) =>
  rows.map(({ video, second, box, id, last }) =>
    [video, second, ...box, id, ...(last === undefined ? [] : [last])].join(),
  );
export const lines = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join('');

export function truthFiles({ groundTruth, labels, excluded }: Files) {
  return {
    groundTruth: [file('gt.csv', lines(csv(groundTruth)))],
    labelMap: file('map.pbtxt', labels.map((id) => `item { name: "action ${id}" id: ${id} }\n`).join('')),
    exclude: excluded === undefined ? undefined : file('excluded.csv', excluded),
  };
}

export function evaluate(files: Files): FileResults {
  const predictions = file('p.csv', lines(csv(files.predictions)));
  return evaluateFiles(truthFiles(files), predictions, { secondOffset: files.secondOffset });
}

export const warningsOf = (files: Files) => evaluate(files).warnings;

export const VIDEOS = ['a_one', 'b_two', 'c_three'];
export const SECONDS = Array.from({ length: 29 }, (_, i) => 902 + i);

/** Three videos of 29 key frames with two people, and predictions near them that find most. */
export function fitting(videos: readonly string[] = VIDEOS, seconds: readonly number[] = SECONDS): Files {
  const rng = Rng.forName(0, 'mismatch');
  const groundTruth: Row[] = [];
  const predictions: Row[] = [];
  for (const video of videos) {
    for (const second of seconds) {
      for (let person = 0; person < 2; person++) {
        const [x, y] = [rng.uniformBetween(0, 0.6), rng.uniformBetween(0, 0.4)];
        const box = rounded([x, y, x + rng.uniformBetween(0.15, 0.4), y + rng.uniformBetween(0.3, 0.6)]);
        const id = 1 + rng.int(3);
        groundTruth.push({ video, second, box, id, last: person });
        const near = rounded(box.map((value) => value + rng.uniformBetween(-0.01, 0.01)));
        predictions.push({ video, second, box: near, id, last: rng.uniform().toFixed(5) });
      }
    }
  }
  return { groundTruth, predictions, labels: [1, 2, 3] };
}

export const rounded = (box: number[]) => box.map((value) => Number(value.toFixed(5))) as Box;

/** The files with changed predictions or groundTruth. */
export function changed(
  files: Files,
  changes: { predictions?: (row: Row) => Row; groundTruth?: (row: Row) => Row },
): Files {
  const same = (row: Row) => row;
  return {
    ...files,
    predictions: files.predictions.map(changes.predictions ?? same),
    groundTruth: files.groundTruth.map(changes.groundTruth ?? same),
  };
}

export const boxes = (change: (box: Box) => number[]) => (row: Row) => ({
  ...row,
  box: change(row.box) as Box,
});
export const scaled = (width: number, height: number) =>
  boxes(([x1, y1, x2, y2]) => [x1 * width, y1 * height, x2 * width, y2 * height]);
export const names = (change: (name: string) => string) => (row: Row) => ({
  ...row,
  video: change(row.video),
});
export const seconds = (change: (second: number) => number | string) => (row: Row) => ({
  ...row,
  second: change(Number(row.second)),
});
export const ids = (change: (id: number) => number) => (row: Row) => ({ ...row, id: change(Number(row.id)) });

/** The number in the advice `--second-offset N`. */
export function proposedOffset(warning: string): number {
  return Number(/--second-offset (-?[\d.]+)/.exec(warning)?.[1]);
}
