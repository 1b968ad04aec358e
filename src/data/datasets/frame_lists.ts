/** @file Frame lists: which picture files make up each video. */
import { resolve } from 'node:path';
import type { DataConfig, Split } from '../data_config.js';
import { collectUnreadable, type ProblemSink, Problems, readLines } from '../text_lines.js';

/** Consecutive paths that differ only by a number counting up, e.g. `vid/vid_000001.jpg` and the following. */
interface Run {
  readonly start: number;
  readonly prefix: string;
  readonly firstNumber: number;
  readonly digits: number;
  readonly suffix: string;
  count: number;
}

/** The paths of a video's frames in order; a video of any length costs a few bytes if its files are numbered. */
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
  // Beyond nine digits numbers stop being exact somewhere; such a name stands for itself (no digits at all).
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
  /** Relative to the frame folder, or absolute, as the list has them. */
  readonly frames: FramePaths;
}

export interface FrameLists {
  /** In order of first appearance. */
  readonly videos: Video[];
  /** Where the lists are, for messages. */
  readonly files: string[];
  readonly warnings: string[];
}

/** One line of a frame list. */
export interface FrameLine {
  readonly video: Video;
  /** What the column says; the frame's number is `video.frames.length - 1` whatever it is. */
  readonly frameId: string;
  readonly path: string;
  /** Whether the file's number follows that of the video's frame before it. */
  readonly follows: boolean;
}

/**
 * Reads the frame lists of a split: one header line, then `original_video_id video_id frame_id path labels` separated
 * by blanks; a frame's number is its place in the list. Throws DataError with file and line.
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

/** The same for lists with mistakes: they go to `problems`, and what is right is returned; `onFrame` sees its lines. */
export function scanFrameLists(
  cfg: DataConfig,
  split: Split,
  problems: ProblemSink,
  onFrame?: (line: FrameLine, file: string, lineNumber: number) => void,
): FrameLists {
  const { key, files } = frameListFiles(cfg, split);
  const videos = new Map<string, Video>();
  const warnings: string[] = [];
  const readList = (file: string) => {
    const problemsBefore = problems.count;
    let lineNumber = 0;
    let frames = 0;
    for (const line of readLines(file, `frame list (${key})`)) {
      lineNumber++;
      let fields = line.split(' ');
      if (fields.length !== 5 || fields.includes('')) fields = line.trim().split(/\s+/);
      if (lineNumber === 1) {
        if (fields.length === 5 && /^\d+$/.test(fields[2])) {
          warnings.push(
            `${file}:1: the first line is taken as the header, but looks like a frame; it is not used: put the line ` +
              `"${HEADER}" before it`,
          );
        }
        continue;
      }
      if (fields.length === 1 && fields[0] === '') continue;
      if (fields.length !== 5) {
        const separator = [',', ';'].find((mark) => line.split(mark).length === 5);
        if (frames === 0 && separator !== undefined) {
          problems.add(
            `${file}: columns are separated by "${separator}" instead of blanks; write the file again with blanks`,
            'columns',
          );
          return;
        }
        problems.add(
          `${file}:${lineNumber}: expected 5 columns separated by blanks (original_video_id video_id frame_id path ` +
            `labels; paths without blanks), found ${fields.length}`,
          'columns',
        );
        continue;
      }
      const [name, , frameId, path] = fields;
      let video = videos.get(name);
      if (!video) {
        video = { name, frames: new FramePaths() };
        videos.set(name, video);
      }
      const follows = video.frames.add(path);
      frames++;
      onFrame?.({ video, frameId, path, follows }, file, lineNumber);
    }
    if (frames === 0 && problems.count === problemsBefore) {
      problems.add(
        `${file}: the frame list (${key}) names no frames; it needs a header line and a line per frame`,
        'empty',
      );
    }
  };
  for (const file of files) collectUnreadable(problems, () => readList(file));
  return { videos: [...videos.values()], files, warnings };
}
