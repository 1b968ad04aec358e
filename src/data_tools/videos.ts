/** @file The videos of a folder: their names in the data set, and the frame list that each belongs to. */
import { readdirSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { Problems } from '../data/text_lines.js';
import { DataError } from '../errors.js';

const EXTENSIONS = new Set(
  '.3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv'.split(' '),
);

export interface VideoFile {
  /** The file's name without its extension: what frame lists and annotations call the video. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** The frame list that names it, without `.csv`. */
  readonly list: string;
}

/** The list of videos that lie in no subfolder. */
export const LIST_OF_ALL = 'all';

/**
 * The videos of `folder`, sorted by list and name. Those in a subfolder (`train/`, `val/`, …) belong to the list of its
 * name; without subfolders there is one list. Throws DataError for everything that cannot be prepared.
 */
export function findVideos(folder: string): VideoFile[] {
  const direct = videosIn(folder, LIST_OF_ALL);
  const nested = listFolder(folder)
    .filter((name) => !name.startsWith('.') && isFolder(join(folder, name)))
    .flatMap((name) => videosIn(join(folder, name), name));
  if (direct.length > 0 && nested.length > 0) {
    throw new DataError(
      `${folder} has videos (${direct[0].path}) beside folders with videos (${nested[0].path}); each folder becomes a ` +
        'frame list of its name, so move all videos into such folders, or all of them out',
    );
  }
  const videos = direct.length > 0 ? direct : nested;
  if (videos.length === 0) {
    throw new DataError(
      `${folder}: there are no videos in this folder or in folders in it (looked for ${[...EXTENSIONS].join(' ')})`,
    );
  }
  checkNames(videos);
  return videos;
}

function videosIn(folder: string, list: string): VideoFile[] {
  return listFolder(folder)
    .filter((file) => !file.startsWith('.') && EXTENSIONS.has(parse(file).ext.toLowerCase()))
    .sort()
    .flatMap((file) => {
      const path = join(folder, file);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (!stats) throw new DataError(`${path}: is a link to a file that does not exist`);
      return stats.isFile() ? [{ name: parse(file).name, path, bytes: stats.size, list }] : [];
    });
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such folder' : code === 'ENOTDIR' ? 'it is not a folder' : message;
    throw new DataError(`${folder}: cannot list the videos: ${why}`, { cause: error });
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
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
