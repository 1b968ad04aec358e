/** @file AVA box annotations: csv files, and the key frames that follow from them. */
import { countOf } from '../../util/progress.js';
import { annotationPath, type DataConfig, type Split } from '../data_config.js';
import {
  collectUnreadable,
  type ProblemKind,
  type ProblemSink,
  Problems,
  quote,
  readLines,
} from '../text_lines.js';
import { headerProblem, separatorProblem } from './csv_form.js';

/** AVA annotates the seconds 902…1798 of a film; frame 0 of a frame list is second 900. */
export const FIRST_SECOND = 902;
export const LAST_SECOND = 1798;
export const SECOND_OF_FRAME_0 = 900;

/** Farther outside the picture than this, coordinates are no fractions of its size but something else. */
export const LOWEST_COORDINATE = -1;
export const HIGHEST_COORDINATE = 2;

export interface AnnotatedBox {
  /** x1, y1, x2, y2 as fractions of the picture's width and height; may reach beyond 0…1. */
  readonly coordinates: readonly [number, number, number, number];
  /** Action ids, 1-based, each once; none for a person without a listed action. */
  readonly labels: number[];
}

export interface VideoAnnotations {
  /** Second → text of the coordinates → box; in order of appearance. */
  readonly seconds: Map<number, Map<string, AnnotatedBox>>;
  /** `file:line` of the first row of this video. */
  readonly where: string;
  readonly rows: number;
}

export interface Annotations {
  readonly videos: Map<string, VideoAnnotations>;
  readonly files: string[];
  readonly warnings: string[];
  /** Counts of rows that add nothing. */
  readonly notes: string[];
}

/**
 * Reads the box lists of a split: `video,second,x1,y1,x2,y2,action id[,person id]`, no header. Rows whose four
 * coordinates have the same text are one box with several labels. Throws DataError with file and line.
 */
export function readAnnotations(cfg: DataConfig, split: Split): Annotations {
  const problems = new Problems();
  const annotations = scanAnnotations(cfg, split, problems);
  problems.throwIfAny();
  return annotations;
}

/** The box lists of a split, and the setting that names them. */
export function annotationFiles(cfg: DataConfig, split: Split): { key: string; files: string[] } {
  const [key, names] =
    split === 'train'
      ? ['AVA.TRAIN_GT_BOX_LISTS', cfg.AVA.TRAIN_GT_BOX_LISTS]
      : ['AVA.TEST_GT_BOX_LISTS', cfg.AVA.TEST_GT_BOX_LISTS];
  return { key, files: names.map((name) => annotationPath(cfg, name)) };
}

/**
 * The same for files with mistakes: they go to `problems`, and what is right is returned. `onRow` sees the rows that
 * could be read, also those that are skipped.
 */
export function scanAnnotations(
  cfg: DataConfig,
  split: Split,
  problems: ProblemSink,
  onRow?: (row: AnnotationRow, use: RowUse, file: string, lineNumber: number) => void,
): Annotations {
  const { key, files } = annotationFiles(cfg, split);
  const numClasses = cfg.MODEL.STM.ACTION_CLASSES;
  const videos = new Map<string, VideoAnnotations & { rows: number }>();
  const warnings: string[] = [];
  let outside = 0;
  let firstOutside = '';
  let repeats = 0;
  let firstRepeat = '';
  const readFile = (file: string) => {
    let lineNumber = 0;
    let rows = 0;
    let hasGoodRow = false;
    for (const line of readLines(file, `annotation file (${key})`)) {
      lineNumber++;
      const text = line.trim();
      if (text === '') continue;
      rows++;
      const row = parseRow(text, numClasses);
      if ('kind' in row) {
        const separators = hasGoodRow ? null : separatorProblem(text, [7, 8]);
        if (separators !== null) {
          problems.add(`${file}: ${separators}`, 'columns');
          return;
        }
        const header = headerProblem(text, lineNumber);
        problems.add(`${file}:${lineNumber}: ${header ?? row.message}`, header ? 'columns' : row.kind);
        continue;
      }
      hasGoodRow = true;
      if (row.second < FIRST_SECOND || row.second > LAST_SECOND) {
        if (outside++ === 0) firstOutside = `${file}:${lineNumber}`;
        onRow?.(row, 'outside', file, lineNumber);
        continue;
      }
      let video = videos.get(row.video);
      if (!video) {
        video = { seconds: new Map(), where: `${file}:${lineNumber}`, rows: 0 };
        videos.set(row.video, video);
      }
      video.rows++;
      let boxes = video.seconds.get(row.second);
      if (!boxes) {
        boxes = new Map();
        video.seconds.set(row.second, boxes);
      }
      let box = boxes.get(row.boxText);
      const repeated = box && (row.label === null || box.labels.includes(row.label));
      if (repeated && repeats++ === 0) firstRepeat = `${file}:${lineNumber}`;
      onRow?.(row, repeated ? 'repeated' : 'new', file, lineNumber);
      if (!box) {
        box = { coordinates: row.coordinates, labels: [] };
        boxes.set(row.boxText, box);
      }
      if (row.label !== null && !repeated) box.labels.push(row.label);
    }
    if (rows === 0) problems.add(`${file}: the annotation file (${key}) is empty`, 'empty');
  };
  for (const file of files) collectUnreadable(problems, () => readFile(file));
  const range = `${FIRST_SECOND}…${LAST_SECOND}`;
  if (videos.size === 0 && problems.count === 0) {
    problems.add(
      `${files.join(', ')}: no row has a second inside ${range}, AVA's annotated range (first: ${firstOutside}); ` +
        `frame 0 of a frame list is second ${SECOND_OF_FRAME_0}`,
      'out-of-range',
    );
  }
  if (outside > 0) {
    warnings.push(
      `${outside} annotation ${outside === 1 ? 'row' : 'rows'} skipped: the second is outside ${range} ` +
        `(first: ${firstOutside})`,
    );
  }
  const notes =
    repeats > 0
      ? [
          `${countOf(repeats, 'annotation row')} ${repeats === 1 ? 'repeats' : 'repeat'} the box and action of an earlier one (first: ${firstRepeat}) and ${repeats === 1 ? 'adds' : 'add'} nothing`,
        ]
      : [];
  return { videos, files, warnings, notes };
}

/** What becomes of a row: `repeated` adds nothing to an earlier one, `outside` is skipped for its second. */
export type RowUse = 'new' | 'repeated' | 'outside';

export interface AnnotationRow {
  /** The eighth column as it stands there. */
  person: string | undefined;
  video: string;
  second: number;
  boxText: string;
  coordinates: [number, number, number, number];
  label: number | null;
}

interface RowProblem {
  kind: ProblemKind;
  message: string;
}

/** A row, or what is wrong with it. */
function parseRow(text: string, numClasses: number): AnnotationRow | RowProblem {
  const wrong = (kind: ProblemKind, message: string): RowProblem => ({ kind, message });
  const fields = text.split(',');
  if (text.includes('"'))
    for (let i = 0; i < fields.length; i++) fields[i] = fields[i].replace(/^"(.*)"$/, '$1');
  if (fields.length !== 7 && fields.length !== 8) {
    return wrong(
      'columns',
      'expected 8 columns separated by commas (video, second, x1, y1, x2, y2, action id, person id), found ' +
        `${fields.length}: ${quote(text)}`,
    );
  }
  const video = fields[0];
  if (video === '') return wrong('columns', 'the first column, the name of the video, is empty');
  const second = parseNumber(fields[1]);
  if (!Number.isInteger(second)) {
    return wrong('columns', `the second must be a whole number, found ${quote(fields[1])}`);
  }
  const boxText = `${fields[2]},${fields[3]},${fields[4]},${fields[5]}`;
  const coordinates: [number, number, number, number] = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) {
    coordinates[i] = parseNumber(fields[2 + i]);
    if (Number.isNaN(coordinates[i])) {
      return wrong('box', `${COORDINATES[i]} must be a number from 0 to 1, found ${quote(fields[2 + i])}`);
    }
  }
  const problem = boxProblem(coordinates);
  if (problem) return wrong('box', `${problem} (box ${boxText})`);
  let label: number | null = null;
  const labelText = fields[6].trim();
  if (labelText !== '') {
    label = parseNumber(labelText);
    // The official parser stores "no action" as -1, so a file may hold that as well as an empty column.
    if (label === -1) label = null;
    else if (!Number.isInteger(label) || label < 1 || label > numClasses) {
      return wrong(
        'label',
        `the action id must be a whole number from 1 to ${numClasses} (MODEL.STM.ACTION_CLASSES), or empty, found ` +
          quote(labelText),
      );
    }
  }
  return { video, second, boxText, coordinates, label, person: fields[7] };
}

const COORDINATES = ['x1', 'y1', 'x2', 'y2'];

/** What is wrong with a box, or null; boxes partly outside the picture are right, they are clipped later. */
function boxProblem([x1, y1, x2, y2]: readonly [number, number, number, number]): string | null {
  for (const value of [x1, y1, x2, y2]) {
    if (value < LOWEST_COORDINATE || value > HIGHEST_COORDINATE) {
      return `coordinates are fractions of the picture's size, from 0 to 1; ${value} is none`;
    }
  }
  if (x2 <= x1) return `inverted box: x2 must be greater than x1, found x1 = ${x1}, x2 = ${x2}`;
  if (y2 <= y1) return `inverted box: y2 must be greater than y1, found y1 = ${y1}, y2 = ${y2}`;
  if (x2 <= 0 || y2 <= 0 || x1 >= 1 || y1 >= 1) return 'the box lies wholly outside the picture';
  return null;
}

/** A decimal number as Python's float() reads it, or NaN; JavaScript's Number() takes '' and '0x10' too. */
function parseNumber(text: string): number {
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text) ? Number(text) : Number.NaN;
}

/** One annotated second of a video. */
export interface KeyFrame {
  readonly videoIndex: number;
  /** Counts the key frames of the video. */
  readonly secondIndex: number;
  readonly second: number;
  /** The frame in the middle of the clip; may lie beyond the end of the video. */
  readonly center: number;
  readonly boxes: readonly AnnotatedBox[];
}

/** The key frames in the order of `videoNames`, then of time; videos without annotations have none. */
export function listKeyFrames(
  videoNames: readonly string[],
  annotations: Annotations,
  fps: number,
): KeyFrame[] {
  const keyFrames: KeyFrame[] = [];
  videoNames.forEach((name, videoIndex) => {
    const seconds = annotations.videos.get(name)?.seconds ?? new Map<number, Map<string, AnnotatedBox>>();
    [...seconds.keys()]
      .sort((a, b) => a - b)
      .forEach((second, secondIndex) => {
        const center = Math.round((second - SECOND_OF_FRAME_0) * fps);
        keyFrames.push({
          videoIndex,
          secondIndex,
          second,
          center,
          boxes: [...seconds.get(second)!.values()],
        });
      });
  });
  return keyFrames;
}
