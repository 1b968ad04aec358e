/** @file AVA's box annotations: csv files, and the key frames that they define. */
import { countOf } from '../../util/text.js';
import { annotationPath, type DataConfig, type Split } from '../data_config.js';
import { collectUnreadable, type ProblemKind, type ProblemSink, Problems, quote } from '../problems.js';
import { readLines } from '../read_lines.js';
import {
  adviceForOutside,
  frameOf,
  isInRange,
  rangeOf,
  type TimeBase,
  TimeMap,
  timeBaseOf,
} from '../time.js';
import { AVA_COLUMNS, parseAvaRow } from './ava_row.js';
import { headerProblem, RowProblems, separatorProblem, splitCsv } from './csv.js';
import { actionHint, boxHint } from './row_hints.js';

/** Coordinates beyond these are not fractions of an image's size but something else. */
export const MIN_COORDINATE = -1;
export const MAX_COORDINATE = 2;

export interface AnnotatedBox {
  /** x1, y1, x2, y2 as fractions of the image's width and height; may reach beyond 0…1. */
  readonly coordinates: readonly [number, number, number, number];
  /** Distinct 1-based action ids; empty for a person without a listed action. */
  readonly labels: number[];
}

export interface VideoAnnotations {
  /** Time of a key frame, in seconds → text of the coordinates → box; in order of appearance. */
  readonly seconds: TimeMap<Map<string, AnnotatedBox>>;
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
 * Reads the box lists of a split: `video,second,x1,y1,x2,y2,action id[,person id]`, no header. Rows with the same text of
 * all four coordinates are one box with several labels. Throws DataError with file and line.
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

/** How a row is used: `repeated` adds nothing to an earlier row, `outside` is skipped because of its second. */
export type RowUse = 'new' | 'repeated' | 'outside';

export interface AnnotationRow {
  readonly video: string;
  /** May have a fraction. */
  readonly second: number;
  readonly boxText: string;
  readonly coordinates: readonly [number, number, number, number];
  readonly label: number | null;
  /** Text of the eighth column. */
  readonly person: string | undefined;
}

/** Called for each row that can be read, including skipped ones; `at` is its `file:line`. */
export type OnAnnotationRow = (row: AnnotationRow, use: RowUse, at: string) => void;

/** Reads the box lists of a split, reports mistakes to `problems` and returns the correct rows. */
export function scanAnnotations(
  cfg: DataConfig,
  split: Split,
  problems: ProblemSink,
  onRow?: OnAnnotationRow,
): Annotations {
  const { key, files } = annotationFiles(cfg, split);
  const scanner = new AnnotationScanner(cfg, split, problems, onRow);
  for (const file of files) collectUnreadable(problems, () => scanner.read(file, key));
  return scanner.finish(files);
}

/** A number of rows, and where the first of them is. */
interface Occurrences {
  count: number;
  first: string;
}

function addTo(occurrences: Occurrences, at: string): void {
  if (occurrences.count++ === 0) occurrences.first = at;
}

class AnnotationScanner {
  readonly #videos = new Map<string, VideoAnnotations & { rows: number }>();
  readonly #numClasses: number;
  readonly #timeBase: TimeBase;
  readonly #outside = { count: 0, first: '', min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  readonly #repeats: Occurrences = { count: 0, first: '' };

  constructor(
    cfg: DataConfig,
    private readonly split: Split,
    private readonly problems: ProblemSink,
    private readonly onRow?: OnAnnotationRow,
  ) {
    this.#numClasses = cfg.MODEL.STM.ACTION_CLASSES;
    this.#timeBase = timeBaseOf(cfg.AVA);
  }

  /** Reads a file; `key` is the setting that names it. */
  read(file: string, key: string): void {
    let lineNumber = 0;
    let isEmpty = true;
    const faults = new RowProblems<ProblemKind>(file, (message, kind) => this.problems.add(message, kind));
    for (const line of readLines(file, `annotation file (${key})`)) {
      lineNumber++;
      const text = line.trim();
      if (text === '') continue;
      isEmpty = false;
      const row = parseRow(text, this.#numClasses);
      if (!('kind' in row)) {
        faults.good();
        this.#add(row, `${file}:${lineNumber}`);
        continue;
      }
      const separators = faults.hasGoodRow ? null : separatorProblem(text, AVA_COLUMNS);
      if (separators !== null) {
        this.problems.add(`${file}: ${separators}`, 'columns');
        return;
      }
      const header = headerProblem(text, lineNumber);
      if (header) this.problems.add(`${file}:${lineNumber}: ${header}`, 'columns');
      else faults.add(lineNumber, row.message, row.kind, true);
    }
    faults.finish();
    if (isEmpty) this.problems.add(`${file}: the annotation file (${key}) is empty`, 'empty');
  }

  #add(row: AnnotationRow, at: string): void {
    if (!isInRange(row.second, this.#timeBase)) {
      const outside = this.#outside;
      addTo(outside, at);
      outside.min = Math.min(outside.min, row.second);
      outside.max = Math.max(outside.max, row.second);
      this.onRow?.(row, 'outside', at);
      return;
    }
    const boxes = this.#boxesOf(row, at);
    const box = boxes.get(row.boxText);
    const isRepeated = box !== undefined && (row.label === null || box.labels.includes(row.label));
    if (isRepeated) addTo(this.#repeats, at);
    else if (!box)
      boxes.set(row.boxText, {
        coordinates: row.coordinates,
        labels: row.label === null ? [] : [row.label],
      });
    else if (row.label !== null) box.labels.push(row.label);
    this.onRow?.(row, isRepeated ? 'repeated' : 'new', at);
  }

  /** The boxes of the row's key frame. */
  #boxesOf(row: AnnotationRow, at: string): Map<string, AnnotatedBox> {
    let video = this.#videos.get(row.video);
    if (!video) {
      video = { seconds: new TimeMap(), where: at, rows: 0 };
      this.#videos.set(row.video, video);
    }
    video.rows++;
    let boxes = video.seconds.get(row.second);
    if (!boxes) {
      boxes = new Map();
      video.seconds.set(row.second, boxes);
    }
    return boxes;
  }

  finish(files: string[]): Annotations {
    const [outside, repeats] = [this.#outside, this.#repeats];
    if (this.#videos.size === 0 && this.problems.count === 0) {
      this.problems.add(
        `${files.join(', ')}: no row has a second inside ${rangeOf(this.#timeBase)} (first: ${outside.first}); ` +
          this.#adviceForOutside(),
        'out-of-range',
      );
    }
    const missed = this.split === 'test' ? ', and the evaluation counts their people as missed' : '';
    const warnings =
      outside.count > 0
        ? [
            `${countOf(outside.count, 'annotation row')} skipped: the second is outside ` +
              `${rangeOf(this.#timeBase)}${missed}; ${this.#adviceForOutside()} (first: ${outside.first})`,
          ]
        : [];
    const [repeat, add] = repeats.count === 1 ? ['repeats', 'adds'] : ['repeat', 'add'];
    const notes =
      repeats.count > 0
        ? [
            `${countOf(repeats.count, 'annotation row')} ${repeat} the box and action of an earlier one ` +
              `(first: ${repeats.first}) and ${add} nothing`,
          ]
        : [];
    return { videos: this.#videos, files, warnings, notes };
  }

  #adviceForOutside(): string {
    return adviceForOutside(this.#timeBase, this.#outside.min, this.#outside.max);
  }
}

interface RowProblem {
  readonly kind: ProblemKind;
  readonly message: string;
}

/** A row of annotations, or what is wrong with it. */
function parseRow(text: string, numClasses: number): AnnotationRow | RowProblem {
  const fields = splitCsv(text);
  const row = parseAvaRow(fields);
  if ('kind' in row) return row;
  const { video, second, box, action } = row;
  if (video === '') return { kind: 'columns', message: 'the first column, the name of the video, is empty' };
  const boxText = fields.slice(2, 6).join();
  const problem = boxProblem(box);
  if (problem) return { kind: 'box', message: `${problem} (box ${boxText})${boxHint(box, MAX_COORDINATE)}` };
  if (action !== null && (action < 1 || action > numClasses)) {
    const message =
      `the action id must be a whole number from 1 to ${numClasses} (MODEL.STM.ACTION_CLASSES), or empty, found ` +
      quote(fields[6].trim()) +
      actionHint(fields[6]);
    return { kind: 'label', message };
  }
  return { video, second, boxText, coordinates: box, label: action, person: row.last };
}

/** Says what is wrong with a box, or returns null. Boxes partly outside the image are correct; they are clipped later. */
function boxProblem([x1, y1, x2, y2]: AnnotationRow['coordinates']): string | null {
  for (const value of [x1, y1, x2, y2]) {
    if (value < MIN_COORDINATE || value > MAX_COORDINATE)
      return `coordinates are fractions of the image's size, from 0 to 1; ${value} is not`;
  }
  if (x2 <= x1) return `inverted box: x2 must be greater than x1, found x1 = ${x1}, x2 = ${x2}`;
  if (y2 <= y1) return `inverted box: y2 must be greater than y1, found y1 = ${y1}, y2 = ${y2}`;
  if (x2 <= 0 || y2 <= 0 || x1 >= 1 || y1 >= 1) return 'the box lies wholly outside the image';
  return null;
}

/** An annotated time of a video. */
export interface KeyFrame {
  readonly videoIndex: number;
  /** Index among the key frames of the video. */
  readonly secondIndex: number;
  /** The time in the data set's time base; may have a fraction. */
  readonly second: number;
  /** The frame in the middle of the clip; may lie beyond the end of the video. */
  readonly center: number;
  readonly boxes: readonly AnnotatedBox[];
}

/** Key frames in the order of `videoNames`, then of time; videos without annotations have none. */
export function listKeyFrames(
  videoNames: readonly string[],
  annotations: Annotations,
  timeBase: Pick<TimeBase, 'first' | 'fps'>,
): KeyFrame[] {
  return videoNames.flatMap((name, videoIndex) =>
    [...(annotations.videos.get(name)?.seconds ?? [])]
      .sort(([a], [b]) => a - b)
      .map(([second, boxes], secondIndex) => {
        const center = frameOf(second, timeBase);
        return { videoIndex, secondIndex, second, center, boxes: [...boxes.values()] };
      }),
  );
}
