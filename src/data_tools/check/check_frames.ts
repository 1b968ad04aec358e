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
import { readNote } from '../prepare/prepared_video.js';
import type { Findings } from './findings.js';

/** Reads the frame lists of a split and reports mistakes and oddities of their lines. */
export function checkFrameLists(cfg: DataConfig, split: Split, findings: Findings): FrameLists {
  const lastIds = new Map<Video, number>();
  const check = ({ video, frameId, path, follows }: FrameLine, file: string, line: number) => {
    const id = Number(frameId);
    const lastId = lastIds.get(video);
    lastIds.set(video, id);
    // Nearly always, and lists have millions of lines.
    if (follows && id === lastId! + 1) return;
    const at = () => `${file}:${line}: video ${video.name}`;
    if (lastId === undefined) {
      const first = numberOf(path);
      if (first === 0) findings.add('from-0', split, () => `${at()}: ${path}`);
      else if (first !== null && first > 1) findings.add('late-start', split, () => `${at()}: ${path}`);
      return;
    }
    if (follows) {
      findings.add('order', split, () => `${at()}: frame_id ${frameId} comes after ${lastId}`);
      return;
    }
    const before = video.frames.at(video.frames.length - 2);
    const [number, numberBefore] = [numberOf(path), numberOf(before)];
    // Files without numbers have any order.
    if (number === null || numberBefore === null) return;
    const missing = number - numberBefore - 1;
    if (missing > 0 && dirname(path) === dirname(before)) {
      findings.add(
        'gap',
        split,
        () => `${at()}: ${path} comes after ${before}: ${missing} left out`,
        missing,
      );
    } else {
      findings.add('order', split, () => `${at()}: ${path} comes after ${before}`);
    }
  };
  const lists = scanFrameLists(cfg, split, findings.sink(split), check);
  for (const warning of lists.warnings) findings.add('header', split, warning);
  return lists;
}

/** The last number in a file's name. */
function numberOf(path: string): number | null {
  const match = /(\d{1,9})\D*$/.exec(path.slice(path.lastIndexOf('/') + 1));
  return match ? Number(match[1]) : null;
}

/** What is known of each frame of a video, by its number. */
export const USED = 1;
export const MISSING = 2;
export type FrameFlags = Uint8Array;

/**
 * Compares every listed frame with the files that are there. Returns the flags of each video's frames, USED for those
 * that a clip uses; the missing ones among them are not reported here.
 */
export function checkFrameFiles(
  dataset: AvaDataset,
  split: Split,
  findings: Findings,
  onVideo: (frames: number) => void,
): FrameFlags[] {
  const flags = dataset.videos.map(({ frames }) => new Uint8Array(frames.length));
  for (const keyFrame of dataset.keyFrames) {
    for (const frame of dataset.sequence(keyFrame)) flags[keyFrame.videoIndex][frame] |= USED;
  }
  const folders = new FrameFolders();
  dataset.videos.forEach((video, v) => {
    let folder = '';
    let files: ReadonlySet<string> = new Set();
    const listed = new Set<string>();
    for (let frame = 0; frame < video.frames.length; frame++) {
      const path = video.frames.at(frame);
      const cut = path.lastIndexOf('/');
      const itsFolder = path.slice(0, Math.max(0, cut));
      if (frame === 0 || itsFolder !== folder) {
        if (frame > 0) reportUnlisted(folder, files, listed, split, findings);
        listed.clear();
        folder = itsFolder;
        files = folders.list(resolve(dataset.frameFolder, folder));
      }
      const name = path.slice(cut + 1);
      listed.add(name);
      if (files.has(name)) continue;
      // Of a folder that is missing as a whole, clips' frames tell.
      if (!(flags[v][frame] & USED) && files.size > 0) {
        findings.add('unused-missing', split, () => resolve(dataset.frameFolder, path));
      }
      flags[v][frame] |= MISSING;
    }
    if (!flags[v].some((flag) => flag !== MISSING)) {
      findings.add(
        'unused-missing',
        split,
        `${resolve(dataset.frameFolder, folder)}: all ${video.frames.length} of video ${video.name}`,
        video.frames.length,
      );
    }
    reportUnlisted(folder, files, listed, split, findings);
    onVideo(video.frames.length);
  });
  return flags;
}

/** Reports the numbered pictures of a folder that look like the listed ones and are not among them. */
function reportUnlisted(
  folder: string,
  files: ReadonlySet<string>,
  listed: ReadonlySet<string>,
  split: Split,
  findings: Findings,
): void {
  if (files.size <= listed.size && [...files].every((file) => listed.has(file))) return;
  const first = listed.values().next().value as string;
  const pattern = /^(.*?)\d+(\D*)$/.exec(first);
  if (!pattern) return;
  const [, prefix, suffix] = pattern;
  for (const file of files) {
    if (listed.has(file) || !file.startsWith(prefix) || !file.endsWith(suffix)) continue;
    if (!/^\d+$/.test(file.slice(prefix.length, file.length - suffix.length))) continue;
    findings.add('unlisted', split, folder === '' ? file : `${folder}/${file}`);
  }
}

/** Compares the rate that `stmixer data prepare` noted beside the frames with the configuration's. */
export function checkPreparedRate(
  cfg: DataConfig,
  dataset: AvaDataset,
  split: Split,
  findings: Findings,
): void {
  for (const { name, frames } of dataset.videos) {
    const note = readNote(dirname(resolve(dataset.frameFolder, frames.at(0))));
    if (!note || note.fps === cfg.AVA.FPS) continue;
    findings.add('fps', split, `video ${name} has ${note.fps} frames per second, AVA.FPS is ${cfg.AVA.FPS}`);
    findings.advise('fps', split, `set AVA.FPS ${note.fps}; now boxes are shown on the wrong frames`);
  }
}
