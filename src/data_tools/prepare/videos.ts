/** @file The videos of a folder: their names in the data set, and the frame list that each belongs to. */
import { parse } from 'node:path';
import { Problems } from '../../data/text_lines.js';
import { DataError } from '../../errors.js';
import type { VideoFacts } from '../../media/video_facts.js';
import { type ListedFile, listFiles } from './listed_files.js';
import type { PassedOver } from './passed_over.js';

export interface VideoFile extends ListedFile {
  /** The file's name without its ending: what frame lists and annotations call the video. */
  readonly name: string;
  /** The frame list that names it, without `.csv`. */
  readonly list: string;
  /** What ffmpeg says about it; null where ffmpeg was not asked. */
  readonly facts: VideoFacts | null;
}

/** The list of videos that lie in no subfolder. */
export const LIST_OF_ALL = 'all';

/** The files of a folder that may be videos. */
export interface Candidates {
  readonly folder: string;
  /** Videos by their names. */
  readonly videos: readonly VideoFile[];
  /** Files that may be anything. */
  readonly unknown: readonly VideoFile[];
  readonly passedOver: PassedOver;
}

/**
 * Looks through `folder` and all folders in it, but not into those in `except`. Throws DataError where there is nothing that
 * could be a video, or videos that cannot be prepared under their names.
 */
export function findCandidates(folder: string, except: readonly string[] = []): Candidates {
  const { videos, unknown, passedOver } = listFiles(folder, except);
  const candidates = { folder, videos: videos.map(toVideo), unknown: unknown.map(toVideo), passedOver };
  if (unknown.length === 0) requireVideos(candidates, candidates.videos);
  checkVideos(folder, candidates.videos);
  return candidates;
}

/**
 * The videos among the candidates, sorted by list and name; `facts` are ffmpeg's answers about the unknown ones. All others
 * are counted as passed over. Throws DataError where there is none, or names do not go together.
 */
export function chooseVideos(
  candidates: Candidates,
  facts: ReadonlyMap<VideoFile, VideoFacts>,
): readonly VideoFile[] {
  const found: VideoFile[] = [];
  for (const file of candidates.unknown) {
    const known = facts.get(file);
    if (known && known.kind !== 'video') candidates.passedOver.add(known.kind, file.path);
    else found.push({ ...file, facts: known ?? null });
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
  return { ...file, name: parse(file.path).name, list: file.topFolder ?? LIST_OF_ALL, facts: null };
}

function requireVideos({ folder, passedOver }: Candidates, videos: readonly VideoFile[]): void {
  if (videos.length > 0) return;
  const others = passedOver.describe();
  throw new DataError(
    `${folder}: there are no videos in this folder or in folders in it; ` +
      (others.length > 0 ? `there are ${others.join(', ')}` : 'it is empty'),
  );
}

/** Throws DataError for everything that cannot be prepared. */
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
 * A name stands in lists separated by blanks, in annotations separated by commas, and in file names. A name that cannot
 * is refused, not changed: the annotations would still have the old one.
 */
function checkNames(videos: readonly VideoFile[]): void {
  const problems = new Problems();
  const first = new Map<string, VideoFile>();
  const complain = (path: string, what: string, name: string) =>
    problems.add(
      `${path}: ${what} cannot have blanks, commas or quotes, which separate the columns of frame lists and ` +
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
