/** @file Frame lists: the image files of each video. */
import { resolve, sep } from 'node:path';
import type { DataConfig, Split } from '../data_config.js';
import { collectUnreadable, type ProblemKind, type ProblemSink, Problems, quote } from '../problems.js';
import { readLines } from '../read_lines.js';
import { RowProblems } from './csv.js';

/** Consecutive paths that differ only by a number that counts up, e.g. `vid/vid_000001.jpg` and the following. */
interface Run {
  readonly start: number;
  readonly prefix: string;
  readonly firstNumber: number;
  readonly digits: number;
  readonly suffix: string;
  count: number;
}

/** The paths of a video's frames in order. A video of any length takes a few bytes if its files are numbered. */
export class FramePaths {
  readonly #runs: Run[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Returns whether the file's number follows that of the frame before it. */
  add(path: string): boolean {
    const run = this.#runs.at(-1);
    const follows = run !== undefined && pathInRun(run, run.count) === path;
    if (follows) run.count++;
    else this.#runs.push(startRun(path, this.#length));
    this.#length++;
    return follows;
  }

  /** The path of frame `index`, 0 ≤ index < length. */
  at(index: number): string {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#runs[middle].start <= index) low = middle;
      else high = middle - 1;
    }
    return pathInRun(this.#runs[low], index - this.#runs[low].start);
  }
}

function startRun(path: string, start: number): Run {
  // Longer numbers may not be exact, so such a path forms a run of its own, without digits.
  const match = /^(.*?)(\d{1,9})(\D*)$/.exec(path);
  if (!match || /\d$/.test(match[1])) {
    return { start, prefix: path, firstNumber: 0, digits: 0, suffix: '', count: 1 };
  }
  const [, prefix, number, suffix] = match;
  return { start, prefix, firstNumber: Number(number), digits: number.length, suffix, count: 1 };
}

function pathInRun(run: Run, offset: number): string {
  if (run.digits === 0) return offset === 0 ? run.prefix : '';
  return run.prefix + String(run.firstNumber + offset).padStart(run.digits, '0') + run.suffix;
}

export interface Video {
  readonly name: string;
  /** Paths as in the list, relative to the frame folder or absolute. */
  readonly frames: FramePaths;
}

export interface FrameLists {
  /** Videos in order of first appearance. */
  readonly videos: Video[];
  /** Paths of the lists, for messages. */
  readonly files: string[];
  readonly warnings: string[];
}

/** One line of a frame list. */
export interface FrameLine {
  readonly video: Video;
  /** Text of the frame_id column; the frame's number is `video.frames.length - 1` in any case. */
  readonly frameId: string;
  readonly path: string;
  /** Whether the file's number follows that of the video's previous frame. */
  readonly follows: boolean;
  readonly file: string;
  readonly lineNumber: number;
}

/**
 * Reads the frame lists of a split: one header line, then `original_video_id video_id frame_id path labels` separated
 * by spaces; a frame's number is its position in the list. Throws DataError with file and line.
 */
export function readFrameLists(cfg: DataConfig, split: Split): FrameLists {
  const problems = new Problems();
  const lists = scanFrameLists(cfg, split, problems);
  problems.throwIfAny();
  return lists;
}

/** The frame lists of a split, and the setting that names them. */
export function frameListFiles({ AVA, DATA }: DataConfig, split: Split): { key: string; files: string[] } {
  const [key, names] =
    split === 'train' ? ['AVA.TRAIN_LISTS', AVA.TRAIN_LISTS] : ['AVA.TEST_LISTS', AVA.TEST_LISTS];
  return { key, files: names.map((name) => resolve(DATA.PATH_TO_DATA_DIR, AVA.FRAME_LIST_DIR, name)) };
}

const HEADER = 'original_video_id video_id frame_id path labels';

/**
 * Reads the frame lists of a split, reports mistakes to `problems` and returns the correct lines. `onFrame` is called for each of
 * them.
 */
export function scanFrameLists(
  cfg: DataConfig,
  split: Split,
  problems: ProblemSink,
  onFrame?: (line: FrameLine) => void,
): FrameLists {
  const { key, files } = frameListFiles(cfg, split);
  const scanner = new FrameListScanner(problems, onFrame);
  for (const file of files) collectUnreadable(problems, () => scanner.read(file, key));
  return { videos: scanner.videos, files, warnings: scanner.warnings };
}

class FrameListScanner {
  readonly warnings: string[] = [];
  readonly #videos = new Map<string, Video>();

  constructor(
    private readonly problems: ProblemSink,
    private readonly onFrame?: (line: FrameLine) => void,
  ) {}

  get videos(): Video[] {
    return [...this.#videos.values()];
  }

  /** Reads a list; `key` is the setting that names it. */
  read(file: string, key: string): void {
    const problemsBefore = this.problems.count;
    const faults = new RowProblems<ProblemKind>(file, (message, kind) => this.problems.add(message, kind));
    let lineNumber = 0;
    for (const line of readLines(file, `frame list (${key})`)) {
      lineNumber++;
      const fields = fieldsOf(line);
      if (lineNumber === 1) this.#checkHeader(file, fields);
      else if (fields.length === 5 && !faults.hasGoodRow && isWindowsPath(fields[3])) {
        this.problems.add(`${file}:${lineNumber}: ${WINDOWS_PATHS}, found ${quote(fields[3])}`, 'columns');
        return;
      } else if (fields.length === 5) {
        this.#add(fields, file, lineNumber);
        faults.good();
      } else if (fields.length > 1 || fields[0] !== '') {
        const separator = faults.hasGoodRow ? undefined : otherSeparator(line);
        if (separator !== undefined) {
          const message = `columns are separated by "${separator}" instead of spaces; write the file again with spaces`;
          this.problems.add(`${file}: ${message}`, 'columns');
          return;
        }
        faults.add(lineNumber, `${EXPECTED}, found ${fields.length}`, 'columns', true);
      }
    }
    faults.finish();
    if (!faults.hasGoodRow && this.problems.count === problemsBefore) {
      this.problems.add(
        `${file}: the frame list (${key}) names no frames; it needs a header line and a line per frame`,
        'empty',
      );
    }
  }

  #checkHeader(file: string, fields: readonly string[]): void {
    if (fields.length !== 5 || !/^\d+$/.test(fields[2])) return;
    this.warnings.push(
      `${file}:1: the first line counts as the header, but looks like a frame; it is not used: put the line ` +
        `"${HEADER}" before it`,
    );
  }

  #add([name, , frameId, path]: readonly string[], file: string, lineNumber: number): void {
    let video = this.#videos.get(name);
    if (!video) {
      video = { name, frames: new FramePaths() };
      this.#videos.set(name, video);
    }
    const follows = video.frames.add(path);
    this.onFrame?.({ video, frameId, path, follows, file, lineNumber });
  }
}

const WINDOWS_PATHS =
  'paths have backslashes, as on Windows; write them relative to AVA.FRAME_DIR, with "/", such as video/video_000001.jpg';

function isWindowsPath(path: string): boolean {
  return sep === '/' && path.includes('\\') && !path.includes('/');
}

const EXPECTED =
  'expected 5 columns separated by spaces (original_video_id video_id frame_id path labels; paths without spaces)';

function fieldsOf(line: string): string[] {
  const fields = line.split(' ');
  const isPlain =
    fields.length === 5 && !fields.includes('') && line.indexOf('"') >= line.length - QUOTED_LABELS;
  if (isPlain) return fields;
  const text = line.trim();
  if (!text.includes('"')) return text.split(/\s+/);
  // Some spreadsheets quote a whole line, and double the quotes in it.
  const whole = /^"((?:[^"]|"")*\s(?:[^"]|"")*)"$/.exec(text)?.[1];
  if (whole !== undefined && whole.trim().split(/\s+/).length >= 5)
    return fieldsOf(whole.replaceAll('""', '"'));
  return [...text.matchAll(/(?:"((?:[^"]|"")*)"|(\S+))(?=\s|$)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain : quoted.replaceAll('""', '"'),
  );
}

/** Length of the column of labels, which is a pair of quotes in AVA's lists. */
const QUOTED_LABELS = 2;

/** Another separator of a line. Blanks may follow it, and every field may be quoted. */
function otherSeparator(line: string): string | undefined {
  return [',', ';', '|'].find((separator) => splitAt(line, separator).length === 5);
}

function splitAt(line: string, separator: string): string[] {
  const text = /^"[^"]*"$/.test(line.trim()) ? line.trim().slice(1, -1) : line;
  return text.split(separator);
}
