/** @file The videos of a folder: their names in the data set, and the frame list of each. */
import { parse } from 'node:path';
import { Problems } from '../../data/problems.js';
import { DataError } from '../../errors.js';
import type { SkippedFiles } from '../../media/skipped_files.js';
import type { VideoMetadata } from '../../media/video_metadata.js';
import { type ListedFile, listFiles } from './listed_files.js';

export interface VideoFile extends ListedFile {
  /** Name of the video in frame lists and annotations: the name of the file without its extension. */
  readonly name: string;
  /** Name of its frame list, without `.csv`. */
  readonly list: string;
  /** Null if ffmpeg has not been asked. */
  readonly metadata: VideoMetadata | null;
}

/** The frame list of videos that are in no subfolder. */
export const LIST_OF_ALL = 'all';

/** Files of a folder that may be videos. */
export interface Candidates {
  readonly folder: string;
  /** Files with the name of a video. */
  readonly videos: readonly VideoFile[];
  /** Files of unknown kind. */
  readonly unknown: readonly VideoFile[];
  readonly skipped: SkippedFiles;
}

/**
 * Searches `folder` and all folders below it, except those in `except`. Throws DataError if there are no possible videos, or videos
 * whose names cannot be used.
 */
export function findCandidates(folder: string, except: readonly string[] = []): Candidates {
  const { videos, unknown, skipped } = listFiles(folder, except);
  const candidates = { folder, videos: videos.map(toVideo), unknown: unknown.map(toVideo), skipped };
  if (unknown.length === 0) requireVideos(candidates, candidates.videos);
  checkVideos(folder, candidates.videos);
  return candidates;
}

/**
 * The videos among the candidates, sorted by list and name; `metadata` has ffmpeg's answers about the unknown files. All other files
 * count as skipped. Throws DataError if there are no videos, or their names cannot be used.
 */
export function chooseVideos(
  candidates: Candidates,
  metadata: ReadonlyMap<VideoFile, VideoMetadata>,
): readonly VideoFile[] {
  const found: VideoFile[] = [];
  for (const file of candidates.unknown) {
    const known = metadata.get(file);
    if (known && known.kind !== 'video') candidates.skipped.add(known.kind, file.path);
    else found.push({ ...file, metadata: known ?? null });
  }
  const videos = [...candidates.videos, ...found].sort(
    (a, b) => compare(a.list, b.list) || compare(a.path, b.path),
  );
  requireVideos(candidates, videos);
  checkVideos(candidates.folder, videos);
  return videos;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function toVideo(file: ListedFile): VideoFile {
  return { ...file, name: parse(file.path).name, list: file.topFolder ?? LIST_OF_ALL, metadata: null };
}

function requireVideos({ folder, skipped }: Candidates, videos: readonly VideoFile[]): void {
  if (videos.length > 0) return;
  const others = skipped.describe();
  throw new DataError(
    `${folder}: there are no videos in this folder or in folders below it; ` +
      (others.length > 0 ? `there are ${others.join(', ')}` : 'it is empty'),
  );
}

/** Throws DataError for videos that cannot be prepared together. */
function checkVideos(folder: string, videos: readonly VideoFile[]): void {
  const direct = videos.find(({ topFolder }) => topFolder === null);
  const nested = videos.find(({ topFolder }) => topFolder !== null);
  if (direct && nested) {
    throw new DataError(
      `${folder} has videos (${direct.path}) beside folders with videos (${nested.path}); each folder becomes a ` +
        'frame list of its name, so move all videos into such folders, or all of them out',
    );
  }
  checkNames(videos);
}

/**
 * Names occur in lists separated by spaces, in annotations separated by commas, and in file names. Names that do not fit are refused
 * and not changed, because the annotations would still have the old ones.
 */
function checkNames(videos: readonly VideoFile[]): void {
  const problems = new Problems();
  const first = new Map<string, VideoFile>();
  const complain = (path: string, what: string, name: string) =>
    problems.add(
      `${path}: ${what} cannot have spaces, commas or quotes, which separate the columns of frame lists and ` +
        `annotations; rename it, e.g. to ${name.trim().replace(/[\s,"]+/g, '_')}`,
    );
  for (const video of videos) {
    if (/[\s,"]/.test(video.name)) complain(video.path, 'the name of a video', parse(video.path).base);
    const other = first.get(video.name);
    if (other) {
      problems.add(
        `${other.path} and ${video.path} would both be video ${video.name}; rename or move one of them`,
      );
    } else {
      first.set(video.name, video);
    }
  }
  for (const list of new Set(videos.map((video) => video.list))) {
    if (/[\s,"]/.test(list)) complain(list, 'the folder of a frame list', list);
  }
  problems.throwIfAny();
}
