/** @file AVA's csv files of an evaluation: ground truth, detections, excluded key frames. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { headerProblem, separatorProblem } from '../data/datasets/csv_form.js';
import { Problems, quote, readLines } from '../data/text_lines.js';
import { RowSummary } from './row_summary.js';
import type { ClipDetections } from './types.js';

/** Boxes of one key frame; entry i of every list belongs together. */
export interface ImageBoxes {
  /** x1, y1, x2, y2 of each box. */
  readonly boxes: number[];
  /** Action ids, 1-based. */
  readonly classes: number[];
  readonly scores: number[];
  /** Person ids of a ground truth; NaN where a row has none. */
  readonly persons?: number[];
}

/** Key frame → its boxes, in the order in which the file first names them. */
export type BoxTable = Map<string, ImageBoxes>;

/** Names a key frame as the official evaluator does. */
export function imageKey(video: string, second: number): string {
  return `${video},${String(Math.trunc(second)).padStart(4, '0')}`;
}

/** A row of a csv file of boxes. */
export interface BoxRow {
  readonly video: string;
  /** The number in the file; it may have a fraction. */
  second: number;
  /** x1, y1, x2, y2. */
  readonly box: readonly [number, number, number, number];
  /** Null for a person without an action. */
  readonly action: number | null;
  /** The eighth column: a score or a person id. */
  readonly last: string | undefined;
}

/**
 * Reads `video,second,x1,y1,x2,y2,action id[,…]`. Rows of classes that are not in `classes` are skipped, as are persons
 * without an action; the summary counts them too. Throws DataError with file and line, also for inverted boxes, which the
 * official code refuses too.
 */
export function readGroundTruth(
  files: readonly string[],
  classes: ReadonlySet<number>,
  summary = new RowSummary(),
): BoxTable {
  const table: BoxTable = new Map();
  const problems = new Problems();
  const keyOf = keyMaker();
  for (const file of files) {
    summary.beginFile(file);
    readRows(file, 'ground truth', problems, (row) => {
      const { box, action, last } = row;
      summary.add(row);
      summary.addPerson(last);
      if (action === null || !classes.has(action)) return null;
      if (box[0] > box[2] || box[1] > box[3]) return `inverted box ${box.join(', ')}`;
      addBox(table, keyOf(row), { box, action, score: 1, person: parseNumber(last ?? '') });
      return null;
    });
  }
  problems.throwIfAny();
  return table;
}

/** The first lines, `file:line`, of the rows that `matches` is true for; at most `limit`. */
export function findRows(
  files: readonly string[],
  matches: (row: BoxRow) => boolean,
  limit: number,
): string[] {
  const found: string[] = [];
  for (const file of files) {
    let lineNumber = 0;
    for (const line of readLines(file, 'file')) {
      lineNumber++;
      if (found.length === limit) return found;
      readRow(splitCsv(line), line, (row) => {
        if (matches(row)) found.push(`${file}:${lineNumber}`);
        return null;
      });
    }
  }
  return found;
}

export interface DetectionOptions {
  /** Added to the second of every row. */
  readonly secondOffset?: number;
  /** Counts every row, also those that are skipped. */
  readonly summary?: RowSummary;
}

/**
 * Reads `video,second,x1,y1,x2,y2,action id[,score]`; without a score it is 1. Rows of classes that are not in
 * `classes` are skipped. Throws DataError with file and line, also for a score or coordinate that is not finite.
 */
export function readDetections(
  file: string,
  classes: ReadonlySet<number>,
  { secondOffset = 0, summary = new RowSummary() }: DetectionOptions = {},
): BoxTable {
  const table: BoxTable = new Map();
  const problems = new Problems();
  const keyOf = keyMaker();
  summary.beginFile(file);
  readRows(file, 'predictions', problems, (row) => {
    const { box, action, last } = row;
    if (action === null) return 'the action id is empty';
    const score = last === undefined ? 1 : parseNumber(last);
    if (Number.isNaN(score)) return `the score must be a finite number, found ${JSON.stringify(last)}`;
    if (secondOffset !== 0) row.second = addSeconds(row.second, secondOffset);
    summary.add(row);
    summary.addScore(last === undefined ? null : score);
    if (classes.has(action)) addBox(table, keyOf(row), { box, action, score });
    return null;
  });
  problems.throwIfAny();
  return table;
}

/** A sum without the noise of binary fractions: 901.7 + 0.3 is 902, whose fraction would otherwise be cut off at 901. */
export function addSeconds(second: number, offset: number): number {
  return Math.round((second + offset) * 1e6) / 1e6;
}

/** `imageKey` of rows, made once for those that follow each other with the same key frame. */
function keyMaker(): (row: BoxRow) => string {
  let video = '';
  let second = Number.NaN;
  let key = '';
  return (row) => {
    if (row.second !== second || row.video !== video) {
      video = row.video;
      second = row.second;
      key = imageKey(video, second);
    }
    return key;
  };
}

/**
 * Reads `video,second`: the key frames that do not count. Throws DataError with file and line, also for a second with a
 * fraction, which the official code refuses too.
 */
export function readExclusions(file: string): Set<string> {
  const keys = new Set<string>();
  const problems = new Problems();
  const use = (fields: readonly string[], line: string) => {
    const problem = exclusionProblem(fields, line);
    if (problem === null) keys.add(imageKey(fields[0], Number(fields[1])));
    return problem;
  };
  readLinesOf({ file, what: 'list of excluded key frames', columns: [2], problems }, use);
  problems.throwIfAny();
  return keys;
}

function exclusionProblem(fields: readonly string[], line: string): string | null {
  const expected = `expected "video,second", found ${quote(line)}`;
  if (fields.length > 2) return `${expected}, which has ${fields.length} columns`;
  const [video, text = ''] = fields;
  if (text.trim() === '')
    return `${expected}: the second is missing; write a line with video and second for each key frame to leave out`;
  if (video.trim() === '') return `${expected}: the name of the video is missing`;
  const second = parseNumber(text);
  if (Number.isNaN(second)) return `${expected}: the second must be a number`;
  if (!Number.isInteger(second)) return `the second must be a whole number, found ${quote(text)}`;
  return null;
}

type UseRow = (row: BoxRow) => string | null;

/** Calls `use` for every row; a sentence that it returns, or one about the row's form, becomes a problem. */
function readRows(file: string, what: string, problems: Problems, use: UseRow): void {
  readLinesOf({ file, what, columns: [7, 8], problems }, (fields, line) => readRow(fields, line, use));
}

interface CsvFile {
  readonly file: string;
  /** What it is, for messages. */
  readonly what: string;
  /** Numbers of columns that a line may have. */
  readonly columns: readonly number[];
  readonly problems: Problems;
}

/** Calls `use` for every line that is not blank; a sentence that it returns, or one about the file's form, becomes a problem. */
function readLinesOf(
  { file, what, columns, problems }: CsvFile,
  use: (fields: string[], line: string) => string | null,
): void {
  let lineNumber = 0;
  let hasGoodLine = false;
  for (const line of readLines(file, what)) {
    lineNumber++;
    if (line === '' || line.trim() === '') continue;
    const problem = use(splitCsv(line), line);
    if (problem === null) {
      hasGoodLine = true;
      continue;
    }
    const separators = hasGoodLine ? null : separatorProblem(line, columns);
    if (separators !== null) {
      problems.add(`${file}: ${separators}`);
      return;
    }
    problems.add(`${file}:${lineNumber}: ${headerProblem(line, lineNumber) ?? problem}`);
  }
}

function readRow(fields: string[], line: string, use: UseRow): string | null {
  if (fields.length !== 7 && fields.length !== 8) {
    return (
      'expected 7 or 8 columns separated by commas (video, second, x1, y1, x2, y2, action id, and a score or a person ' +
      `id), found ${fields.length}: ${quote(line)}`
    );
  }
  const second = parseNumber(fields[1]);
  if (Number.isNaN(second)) return `the second must be a number, found ${quote(fields[1])}`;
  const box: [number, number, number, number] = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) {
    box[i] = parseNumber(fields[2 + i]);
    if (Number.isNaN(box[i])) return `a coordinate must be a finite number, found ${quote(fields[2 + i])}`;
  }
  const text = fields[6].trim();
  const action = text === '' || text === '-1' ? null : Number(text);
  if (action !== null && !Number.isInteger(action)) {
    return `the action id must be a whole number, found ${quote(text)}`;
  }
  return use({ video: fields[0], second, box, action, last: fields[7] });
}

interface Entry {
  readonly box: readonly number[];
  readonly action: number;
  readonly score: number;
  /** Only in a ground truth. */
  readonly person?: number;
}

function addBox(table: BoxTable, key: string, { box, action, score, person }: Entry): void {
  let image = table.get(key);
  if (!image) {
    image = { boxes: [], classes: [], scores: [], ...(person !== undefined && { persons: [] }) };
    table.set(key, image);
  }
  image.boxes.push(box[0], box[1], box[2], box[3]);
  image.classes.push(action);
  image.scores.push(score);
  if (person !== undefined) image.persons?.push(person);
}

/** A finite decimal number, or NaN. */
function parseNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}

/** A text as a field of a line, in quotes where it needs them. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The fields of a line; quotes as Python's csv module writes them. */
export function splitCsv(line: string): string[] {
  if (!line.includes('"')) return line.split(',');
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain : quoted.replaceAll('""', '"'),
  );
}

/** A float32 number as five decimals say it, ties to even: what is left of it after AVA's csv. */
export function fiveDecimals(value: number): number {
  // 24 bits times 100,000 is exact in double precision.
  const scaled = value * 1e5;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (up ? below + 1 : below) / 1e5;
}

const WRITE_BYTES = 1 << 20;

/** Writes AVA's csv of detections: a row for each box and action, five decimals, CRLF as Python's csv module. */
export function writeDetections(file: string, clips: Iterable<ClipDetections>): void {
  const fd = openSync(file, 'w');
  try {
    let text = '';
    for (const { clip, detections } of clips) {
      const { boxes, personScores, actionScores } = detections;
      const start = `${csvField(clip.videoName)},${String(clip.second).padStart(4, '0')}`;
      const numClasses = personScores.length ? actionScores.length / personScores.length : 0;
      for (let person = 0; person < personScores.length; person++) {
        const box = [...boxes.subarray(4 * person, 4 * person + 4)].map(decimals).join();
        for (let k = 0; k < numClasses; k++) {
          text += `${start},${box},${k + 1},${decimals(actionScores[person * numClasses + k])}\r\n`;
        }
        if (text.length > WRITE_BYTES) {
          writeSync(fd, text);
          text = '';
        }
      }
    }
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function decimals(value: number): string {
  return fiveDecimals(value).toFixed(5);
}
