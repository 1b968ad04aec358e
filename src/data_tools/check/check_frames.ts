/** @file Checks of frame lists, and of the files that they name. */
import { dirname, resolve } from 'node:path';
import type { DataConfig, Split } from '../../data/data_config.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { FrameFolders } from '../../data/datasets/frame_folders.js';
import {
  type FrameLine,
  type FrameLists,
  scanFrameLists,
  type Video,
} from '../../data/datasets/frame_lists.js';
import { type PreparationNote, readNote } from '../../data/datasets/preparation_note.js';
import { AVA_FIRST_SECOND } from '../../data/time.js';
import type { Findings } from './findings.js';

/** Reads the frame lists of a split and reports mistakes in their lines. */
export function checkFrameLists(cfg: DataConfig, split: Split, findings: Findings): FrameLists {
  const lastIds = new Map<Video, number>();
  const check = (line: FrameLine) => {
    const { video, frameId, follows } = line;
    const id = Number(frameId);
    const lastId = lastIds.get(video);
    lastIds.set(video, id);
    // Lists have millions of lines, and nearly all of them are in order.
    if (follows && id === lastId! + 1) return;
    if (lastId === undefined) checkFirst(line, cfg.AVA.FIRST_SECOND, findings);
    else if (follows)
      findings.add('order', () => `${where(line)}: frame_id ${frameId} comes after ${lastId}`);
    else checkOrder(line, findings);
  };
  const lists = scanFrameLists(cfg, split, findings.sink(), check);
  for (const warning of lists.warnings) findings.add('header', warning);
  return lists;
}

function where({ file, lineNumber, video }: FrameLine): string {
  return `${file}:${lineNumber}: video ${video.name}`;
}

function checkFirst(line: FrameLine, firstSecond: number, findings: Findings): void {
  const first = numberOf(line.path);
  if (first === 0) findings.add('from-0', () => `${where(line)}: ${line.path}`);
  if (first === null || first <= 1) return;
  findings.add('late-start', () => `${where(line)}: ${line.path}`);
  findings.advise(
    'late-start',
    `the first frame in the list is taken for second ${firstSecond} (AVA.FIRST_SECOND), whatever its number: list the ` +
      'earlier frames as well',
  );
}

function checkOrder(line: FrameLine, findings: Findings): void {
  const { video, path } = line;
  const before = video.frames.at(video.frames.length - 2);
  const [number, numberBefore] = [numberOf(path), numberOf(before)];
  // Files without numbers may come in any order.
  if (number === null || numberBefore === null) return;
  const missing = number - numberBefore - 1;
  const order = () => `${where(line)}: ${path} comes after ${before}`;
  if (missing > 0 && dirname(path) === dirname(before))
    findings.add('gap', () => `${order()}: ${missing} left out`, missing);
  else findings.add('order', order);
}

/** The last number in a file's name. */
function numberOf(path: string): number | null {
  const match = /(\d{1,9})\D*$/.exec(path.slice(path.lastIndexOf('/') + 1));
  return match ? Number(match[1]) : null;
}

/** Flags of a frame. */
export const USED = 1;
const MISSING = 2;
/** The flags of each frame of a video. */
export type FrameFlags = Uint8Array;

/**
 * Compares every listed frame with the existing files. Returns the flags of each video's frames, USED for frames of clips; it does
 * not report missing frames of clips.
 */
export function checkFrameFiles(
  dataset: AvaDataset,
  findings: Findings,
  onVideo: (frames: number) => void,
): FrameFlags[] {
  const flags = dataset.videos.map(({ frames }) => new Uint8Array(frames.length));
  for (const keyFrame of dataset.keyFrames) {
    for (const frame of dataset.sequence(keyFrame)) flags[keyFrame.videoIndex][frame] |= USED;
  }
  const folders = new FrameFolders();
  dataset.videos.forEach((video, v) => {
    const lastFolder = flagMissing(dataset.frameFolder, video, flags[v], { folders, findings });
    if (!flags[v].some((flag) => flag !== MISSING)) {
      findings.add(
        'unused-missing',
        `${resolve(dataset.frameFolder, lastFolder)}: all ${video.frames.length} of video ${video.name}`,
        video.frames.length,
      );
    }
    onVideo(video.frames.length);
  });
  return flags;
}

/** The frames of one folder: existing files and listed names. */
interface FolderFrames {
  readonly folder: string;
  readonly files: ReadonlySet<string>;
  readonly listed: Set<string>;
}

/** Flags the missing frames of a video, and reports missing and unlisted ones. Returns the folder of the last frame. */
function flagMissing(
  frameFolder: string,
  video: Video,
  flags: FrameFlags,
  { folders, findings }: { folders: FrameFolders; findings: Findings },
): string {
  let current = null as FolderFrames | null;
  for (let frame = 0; frame < video.frames.length; frame++) {
    const path = video.frames.at(frame);
    const cut = path.lastIndexOf('/');
    const folder = path.slice(0, Math.max(0, cut));
    if (current === null || current.folder !== folder) {
      if (current) reportUnlisted(current, findings);
      current = { folder, files: folders.list(resolve(frameFolder, folder)), listed: new Set() };
    }
    const name = path.slice(cut + 1);
    current.listed.add(name);
    if (current.files.has(name)) continue;
    // If the whole folder is missing, the frames of clips are reported instead.
    if (!(flags[frame] & USED) && current.files.size > 0)
      findings.add('unused-missing', () => resolve(frameFolder, path));
    flags[frame] |= MISSING;
  }
  if (current) reportUnlisted(current, findings);
  return current?.folder ?? '';
}

/** Reports numbered images of a folder that are named like the listed ones but are not listed. */
function reportUnlisted({ folder, files, listed }: FolderFrames, findings: Findings): void {
  if (files.size <= listed.size && [...files].every((file) => listed.has(file))) return;
  const first = listed.values().next().value as string;
  const pattern = /^(.*?)\d+(\D*)$/.exec(first);
  if (!pattern) return;
  const [, prefix, suffix] = pattern;
  for (const file of files) {
    if (listed.has(file) || !file.startsWith(prefix) || !file.endsWith(suffix)) continue;
    if (!/^\d+$/.test(file.slice(prefix.length, file.length - suffix.length))) continue;
    findings.add('unlisted', folder === '' ? file : `${folder}/${file}`);
  }
}

/** What `stmixer data prepare` noted beside the frames of a video, if it made them. */
export function noteBeside({ frameFolder }: AvaDataset, { frames }: Video): PreparationNote | null {
  return readNote(dirname(resolve(frameFolder, frames.at(0))));
}

/** What `stmixer data prepare` noted beside the frames of all videos; null for a number that it did not note for all of them. */
export function preparedNumbers(datasets: readonly AvaDataset[]): {
  fps: number | null;
  start: number | null;
} {
  const notes = datasets.flatMap((dataset) => dataset.videos.map((video) => noteBeside(dataset, video)));
  const common = (key: 'fps' | 'start') => {
    const numbers = new Set(notes.map((note) => note?.[key]));
    return numbers.size === 1 ? ([...numbers][0] ?? null) : null;
  };
  return { fps: common('fps'), start: common('start') };
}

/** Compares AVA.FPS and AVA.FIRST_SECOND with what `stmixer data prepare` noted beside the frames. */
export function checkPrepared(dataset: AvaDataset, findings: Findings): void {
  const { fps, first } = dataset.timeBase;
  for (const video of dataset.videos) {
    const { name } = video;
    const note = noteBeside(dataset, video);
    if (!note) continue;
    if (note.fps !== fps) {
      findings.add('fps', `video ${name} has ${note.fps} frames per second, but AVA.FPS is ${fps}`);
      findings.advise('fps', `set AVA.FPS ${note.fps}; with ${fps}, boxes are shown on the wrong frames`);
    }
    // Annotations may count from 900 wherever the frames begin.
    if (note.start !== first && first !== AVA_FIRST_SECOND) {
      findings.add(
        'first-second',
        `the frames of video ${name} begin at second ${note.start}, but AVA.FIRST_SECOND is ${first}`,
      );
      findings.advise(
        'first-second',
        `set AVA.FIRST_SECOND ${note.start}, if the annotations use the seconds of the video`,
      );
    }
  }
}
