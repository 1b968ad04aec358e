/** @file The part of a data set whose frames exist: what DATA.MISSING skip leaves out, and the sentences about it. */
import { dirname, resolve } from 'node:path';
import { count, countOf, firstNames } from '../../util/text.js';
import type { Split } from '../data_config.js';
import type { ProblemSink } from '../problems.js';
import { readableTime, TimeMap } from '../time.js';
import type { Annotations, KeyFrame, VideoAnnotations } from './ava_annotations.js';
import { type FrameEntry, FrameFolders } from './frame_folders.js';
import type { FrameLists, Video } from './frame_lists.js';

/** Clips and the frames that they use. */
export interface ClipFrames {
  readonly frameFolder: string;
  readonly videos: readonly Video[];
  readonly keyFrames: readonly KeyFrame[];
  sequence(keyFrame: KeyFrame): number[];
}

/** A frame of a clip that is not there. */
export interface MissingFrame {
  readonly keyFrame: KeyFrame;
  readonly path: string;
  /** `unknown` if its folder cannot be listed. */
  readonly entry: Exclude<FrameEntry, 'file'> | 'unknown';
  /** Whether no earlier clip uses it. */
  readonly isNew: boolean;
}

/** Looks for the frames of all clips, with one listing per folder. */
export function findMissing(
  { frameFolder, videos, keyFrames, sequence }: ClipFrames,
  folders: FrameFolders,
  onMissing: (found: MissingFrame) => void,
): void {
  let known = new Map<number, FrameEntry | 'unknown'>();
  let videoIndex = -1;
  for (const keyFrame of keyFrames) {
    // Key frames come video by video, so only the frames of the current video need to be remembered.
    if (keyFrame.videoIndex !== videoIndex) {
      videoIndex = keyFrame.videoIndex;
      known = new Map();
    }
    for (const frame of sequence(keyFrame)) {
      const before = known.get(frame);
      if (before === 'file') continue;
      const path = resolve(frameFolder, videos[videoIndex].frames.at(frame));
      const entry = before ?? folders.find(path);
      known.set(frame, entry);
      if (entry !== 'file') onMissing({ keyFrame, path, entry, isNew: before === undefined });
    }
  }
}

/** A number, and the number of which it is a part. */
export interface Share {
  readonly out: number;
  readonly of: number;
}

/** What a data set leaves out because it is missing. */
export interface LeftOut {
  /** Annotated videos of the frame lists without a clip whose frames exist. */
  readonly withoutFrames: readonly string[];
  /** Annotated videos in none of the frame lists. */
  readonly unlisted: readonly string[];
  /** Other videos → their key frames whose clip lacks a frame. */
  readonly clips: ReadonlyMap<string, TimeMap<true>>;
  /** Annotated videos, key frames and boxes that are left out, of all. */
  readonly videos: Share;
  readonly keyFrames: Share;
  readonly boxes: Share;
}

/** Lists and annotations without what is missing; `leftOut` is null if everything is there. */
export interface PresentData {
  readonly lists: FrameLists;
  readonly annotations: Annotations;
  readonly leftOut: LeftOut | null;
}

/**
 * Leaves out annotated videos without frames or frame lists, and clips with missing frames. Reports folders that exist and cannot
 * be listed, and that nothing is left.
 */
export function leaveOutMissing(
  clips: ClipFrames,
  { lists, annotations }: { lists: FrameLists; annotations: Annotations },
  problems: ProblemSink,
): PresentData {
  const folders = new FrameFolders();
  const missing = new Set<KeyFrame>();
  findMissing(clips, folders, ({ keyFrame, path, entry }) => {
    if (entry !== 'unknown' || folders.absent.has(dirname(path))) missing.add(keyFrame);
  });
  for (const [folder, why] of folders.unreadable) {
    if (!folders.absent.has(folder))
      problems.add(`${folder}: the frame list names files in this folder, but ${why}`, 'frame-folder');
  }
  const leftOut = summarize(clips, annotations, missing);
  if (leftOut === null) return { lists, annotations, leftOut };
  if (leftOut.videos.out === leftOut.videos.of)
    problems.add(nothingLeft(leftOut, clips.frameFolder), 'empty');
  const gone = new Set([...leftOut.withoutFrames, ...leftOut.unlisted]);
  const videos = new Map<string, VideoAnnotations>();
  for (const [name, video] of annotations.videos) if (!gone.has(name)) videos.set(name, video);
  for (const [name, out] of leftOut.clips) {
    const video = videos.get(name)!;
    videos.set(name, { ...video, seconds: without(video.seconds, out) });
  }
  return {
    lists: { ...lists, videos: lists.videos.filter(({ name }) => !gone.has(name)) },
    annotations: { ...annotations, videos },
    leftOut,
  };
}

function without<T>(seconds: TimeMap<T>, out: TimeMap<true>): TimeMap<T> {
  const kept = new TimeMap<T>();
  for (const [time, value] of seconds) if (!out.has(time)) kept.set(time, value);
  return kept;
}

function summarize(
  { videos, keyFrames }: ClipFrames,
  annotations: Annotations,
  missing: ReadonlySet<KeyFrame>,
): LeftOut | null {
  const listed = new Set(videos.map(({ name }) => name));
  const unlisted = [...annotations.videos.keys()].filter((name) => !listed.has(name));
  if (missing.size === 0 && unlisted.length === 0) return null;
  const present = new Set(
    keyFrames.filter((keyFrame) => !missing.has(keyFrame)).map(({ videoIndex }) => videoIndex),
  );
  const gone = new Set(
    [...missing].map(({ videoIndex }) => videoIndex).filter((index) => !present.has(index)),
  );
  const clips = new Map<string, TimeMap<true>>();
  for (const { videoIndex, second } of missing) {
    const { name } = videos[videoIndex];
    if (!present.has(videoIndex)) continue;
    if (!clips.has(name)) clips.set(name, new TimeMap());
    clips.get(name)!.set(second, true);
  }
  const unlistedNumbers = unlisted.map((name) => numbersOf(annotations.videos.get(name)!));
  const unlistedKeyFrames = unlistedNumbers.reduce((sum, { keyFrames: n }) => sum + n, 0);
  const unlistedBoxes = unlistedNumbers.reduce((sum, { boxes: n }) => sum + n, 0);
  const boxes = (some: Iterable<KeyFrame>) =>
    [...some].reduce((sum, keyFrame) => sum + keyFrame.boxes.length, 0);
  return {
    withoutFrames: [...gone].map((index) => videos[index].name),
    unlisted,
    clips,
    videos: { out: gone.size + unlisted.length, of: annotations.videos.size },
    keyFrames: { out: missing.size + unlistedKeyFrames, of: keyFrames.length + unlistedKeyFrames },
    boxes: { out: boxes(missing) + unlistedBoxes, of: boxes(keyFrames) + unlistedBoxes },
  };
}

function numbersOf({ seconds }: VideoAnnotations): { keyFrames: number; boxes: number } {
  return { keyFrames: seconds.size, boxes: [...seconds].reduce((sum, [, boxes]) => sum + boxes.size, 0) };
}

function nothingLeft({ videos, withoutFrames, unlisted }: LeftOut, frameFolder: string): string {
  const facts = [
    ...(withoutFrames.length > 0 ? [`${firstNames(withoutFrames)} without frames in ${frameFolder}`] : []),
    ...(unlisted.length > 0 ? [`${firstNames(unlisted)} in no frame list`] : []),
  ];
  return (
    `nothing is left of ${countOf(videos.of, 'annotated video')} with DATA.MISSING skip: ${facts.join(', ')}; correct ` +
    'DATA.PATH_TO_DATA_DIR and the folders and lists under AVA'
  );
}

/** A sentence about what a split leaves out. */
export function leftOutSentence(leftOut: LeftOut, split: Split): string {
  const { withoutFrames, unlisted } = leftOut;
  const videos = [
    ...(withoutFrames.length > 0 ? [`without frames: ${firstNames(withoutFrames)}`] : []),
    ...(unlisted.length > 0 ? [`in no frame list: ${firstNames(unlisted)}`] : []),
  ];
  const parts = [
    ...(videos.length > 0 ? [`${share(leftOut.videos, 'annotated video')} (${videos.join('; ')})`] : []),
    ...clipsText(leftOut, videos.length > 0 ? 'other videos' : 'videos'),
  ];
  return (
    `${split} lists: DATA.MISSING skip leaves out ${parts.join(' and ')}: ${share(leftOut.keyFrames, 'key frame')} with ` +
    share(leftOut.boxes, 'box', 'boxes')
  );
}

function share({ out, of }: Share, one: string, many?: string): string {
  return `${count(out)} of ${countOf(of, one, many)}`;
}

function clipsText({ clips }: LeftOut, ofVideos: string): string[] {
  if (clips.size === 0) return [];
  const [[video, seconds]] = clips;
  const [first] = seconds.keys();
  const number = [...clips.values()].reduce((sum, { size }) => sum + size, 0);
  const lack = number === 1 ? 'lacks' : 'lack';
  return [
    `${countOf(number, 'clip')} of ${ofVideos} that ${lack} frames (first: ${video} at second ${readableTime(first)})`,
  ];
}
