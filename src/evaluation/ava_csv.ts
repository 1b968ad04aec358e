/** @file Reading the csv files of an evaluation: ground truth, detections, excluded key frames. */
import { AVA_COLUMNS, type AvaRow, parseAvaRow } from '../data/datasets/ava_row.js';
import {
  headerProblem,
  parseDecimal,
  RowProblems,
  separatorProblem,
  splitCsv,
} from '../data/datasets/csv.js';
import { Problems, quote } from '../data/problems.js';
import { readLines } from '../data/read_lines.js';
import { exactTime, isSameTime, KeyFrameTimes, timeText } from '../data/time.js';
import { RowSummary } from './row_summary.js';

/** Boxes of one key frame; index i of every list belongs to the same box. */
export interface ImageBoxes {
  /** x1, y1, x2, y2 of each box. */
  readonly boxes: number[];
  /** 1-based action ids. */
  readonly classes: number[];
  readonly scores: number[];
  /** Person ids of ground truth; NaN for a row without one. */
  readonly persons?: number[];
}

/** Key frame → its boxes, in the order in which the file first names the key frames. */
export type BoxTable = Map<string, ImageBoxes>;

/** The name of a key frame: that of the official evaluator for whole seconds, `v,0902`. A fraction makes another one, `v,0902.5`. */
export function imageKey(video: string, second: number): string {
  return `${video},${timeText(second)}`;
}

/** What the files of an evaluation have in common. */
export interface CsvOptions {
  /** Counts every row, including skipped ones. */
  readonly summary?: RowSummary;
  /** The key frames of the files that were read before: a time that is written in another way belongs to them. */
  readonly times?: KeyFrameTimes;
}

export interface GroundTruthOptions extends CsvOptions {
  /** Whether the rows of a key frame count; the others are not even counted in the summary. */
  readonly keep?: (video: string, second: number) => boolean;
}

/**
 * Reads `video,second,x1,y1,x2,y2,action id[,person id]`. Skips rows whose class is not in `classes` and persons without an
 * action, but counts them in the summary. Throws DataError with file and line, also for inverted boxes, which the official code
 * refuses too.
 */
export function readGroundTruthBoxes(
  files: readonly string[],
  classes: ReadonlySet<number>,
  { summary = new RowSummary(), times = new KeyFrameTimes(), keep }: GroundTruthOptions = {},
): BoxTable {
  const table: BoxTable = new Map();
  const problems = new Problems();
  const keyOf = keyMaker(times);
  for (const file of files) {
    summary.beginFile(file);
    readRows({ file, what: 'ground truth', columns: AVA_COLUMNS, problems }, (row) => {
      const { box, action, last } = row;
      const { key, second } = keyOf(row);
      if (keep && !keep(row.video, second)) return null;
      summary.add(row, second);
      summary.addPerson(last);
      if (action === null || !classes.has(action)) return null;
      if (box[0] > box[2] || box[1] > box[3]) return `inverted box ${box.join(', ')}`;
      addBox(table, key, { box, action, score: 1, person: parseDecimal(last ?? '') });
      return null;
    });
  }
  problems.throwIfAny();
  return table;
}

/** Positions (`file:line`) of the first rows that match, up to `limit`. */
export function findRows(
  files: readonly string[],
  matches: (row: AvaRow) => boolean,
  limit: number,
): string[] {
  const found: string[] = [];
  for (const file of files) {
    let lineNumber = 0;
    for (const line of readLines(file, 'file')) {
      lineNumber++;
      if (found.length === limit) return found;
      const row = parseAvaRow(splitCsv(line));
      if (!('kind' in row) && matches(row)) found.push(`${file}:${lineNumber}`);
    }
  }
  return found;
}

export interface DetectionOptions extends CsvOptions {
  /** Added to the second of every row. */
  readonly secondOffset?: number;
}

/**
 * Reads `video,second,x1,y1,x2,y2,action id[,score]`; without a score it is 1. Skips rows whose class is not in `classes`. Throws
 * DataError with file and line, also for a score or coordinate that is not finite.
 */
export function readDetections(
  file: string,
  classes: ReadonlySet<number>,
  { secondOffset = 0, summary = new RowSummary(), times = new KeyFrameTimes() }: DetectionOptions = {},
): BoxTable {
  const table: BoxTable = new Map();
  const problems = new Problems();
  const keyOf = keyMaker(times, secondOffset);
  summary.beginFile(file);
  readRows({ file, what: 'predictions', columns: AVA_COLUMNS, problems }, (row) => {
    const { box, action, last } = row;
    if (action === null) return 'the action id is empty';
    const score = last === undefined ? 1 : parseDecimal(last);
    if (Number.isNaN(score)) return `the score must be a finite number, found ${JSON.stringify(last)}`;
    const { key, second } = keyOf(row);
    summary.add(row, second);
    summary.addScore(last === undefined ? null : score);
    if (classes.has(action)) addBox(table, key, { box, action, score });
    return null;
  });
  problems.throwIfAny();
  return table;
}

/** Whether a row, with an offset added to its second, belongs to a key frame. */
export function isAtKeyFrame({ video, second }: AvaRow, key: string, offset = 0): boolean {
  const comma = key.lastIndexOf(',');
  return video === key.slice(0, comma) && isSameTime(second + offset, Number(key.slice(comma + 1)));
}

/** The key frame of a row: its name, and its time in the first file that has it. */
interface RowKey {
  readonly key: string;
  readonly second: number;
}

/** Returns a function that finds the key frame of a row, once for consecutive rows of one key frame. */
function keyMaker(times: KeyFrameTimes, offset = 0): (row: AvaRow) => RowKey {
  let video = '';
  let second = Number.NaN;
  let found: RowKey = { key: '', second };
  return (row) => {
    if (row.second !== second || row.video !== video) {
      video = row.video;
      second = row.second;
      const time = times.timeOf(video, offset === 0 ? second : exactTime(second + offset));
      found = { key: imageKey(video, time), second: time };
    }
    return found;
  };
}

/** Reads `video,second` of the key frames to leave out. Throws DataError with file and line. */
export function readExclusions(file: string, times = new KeyFrameTimes()): Set<string> {
  const keys = new Set<string>();
  const problems = new Problems();
  readCsv({ file, what: 'list of excluded key frames', columns: [2], problems }, (fields, line) => {
    const problem = exclusionProblem(fields, line);
    if (problem === null) keys.add(imageKey(fields[0], times.timeOf(fields[0], Number(fields[1]))));
    return problem;
  });
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
  return Number.isNaN(parseDecimal(text)) ? `${expected}: the second must be a number` : null;
}

interface CsvFile {
  readonly file: string;
  /** Role of the file, for messages. */
  readonly what: string;
  /** Numbers of columns that a line may have. */
  readonly columns: readonly number[];
  readonly problems: Problems;
}

/** Calls `use` for every row. A message that it returns, or one about the row's format, becomes a problem. */
function readRows(csv: CsvFile, use: (row: AvaRow) => string | null): void {
  readCsv(csv, (fields) => {
    const row = parseAvaRow(fields);
    return 'kind' in row ? row.message : use(row);
  });
}

/** Calls `use` for every line that is not blank. A message that it returns, or one about the file's format, becomes a problem. */
function readCsv(
  { file, what, columns, problems }: CsvFile,
  use: (fields: string[], line: string) => string | null,
): void {
  let lineNumber = 0;
  const faults = new RowProblems<null>(file, (message) => problems.add(message));
  for (const line of readLines(file, what)) {
    lineNumber++;
    if (line === '' || line.trim() === '') continue;
    const problem = use(splitCsv(line), line);
    if (problem === null) {
      faults.good();
      continue;
    }
    const separators = faults.hasGoodRow ? null : separatorProblem(line, columns);
    if (separators !== null) {
      problems.add(`${file}: ${separators}`);
      return;
    }
    const header = headerProblem(line, lineNumber);
    if (header) problems.add(`${file}:${lineNumber}: ${header}`);
    else faults.add(lineNumber, problem, null, !columns.includes(splitCsv(line).length));
  }
  faults.finish();
}

interface Entry {
  readonly box: readonly number[];
  readonly action: number;
  readonly score: number;
  /** Person id, in ground truth only. */
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
