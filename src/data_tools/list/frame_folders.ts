/** @file Folders of frames that exist already, as the videos of a data set. */
import { type Dirent, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { readNote } from '../../data/datasets/preparation_note.js';
import { Problems } from '../../data/problems.js';
import { listImages } from '../../detect/frame_folder.js';
import { orderFrames } from '../../detect/frame_names.js';
import { DataError } from '../../errors.js';
import { sortedEntries } from '../../files/folder_names.js';
import { systemErrorText } from '../../files/system_errors.js';
import type { SkippedFiles } from '../../media/skipped_files.js';
import { absenceOf } from '../../util/addresses.js';

/** The frames in one folder. */
export interface ListedFrames {
  /** File names in the order of their numbers. */
  readonly names: readonly string[];
  /** The number in the first name, or null. */
  readonly firstNumber: number | null;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  readonly skipped: SkippedFiles;
}

/** A rate at which gaps are described, if it is not known. */
const USUAL_FPS = 30;

/** The frames in a folder, in order. Throws the error of the operating system. */
export async function listFrames(folder: string, fps = USUAL_FPS): Promise<ListedFrames> {
  const { images, skipped } = await listImages(folder);
  const { names, notes, warnings } = orderFrames(images, fps);
  const number = /(\d+)\D*$/.exec((names[0] ?? '').replace(/\.[^.]*$/, ''));
  return { names, notes, warnings, skipped, firstNumber: number ? Number(number[1]) : null };
}

/** A folder of frames as a video of the data set. */
export interface FrameVideo extends ListedFrames {
  readonly name: string;
  readonly folder: string;
  /** The folder below the listed one that contains it, such as train; null if there is none. */
  readonly topFolder: string | null;
  /** Rate of the frames, if `stmixer data prepare` made them. */
  readonly fps: number | null;
  /** Second of the video that the first frame shows, if it is known. */
  readonly start: number | null;
}

export interface FrameVideos {
  /** The folder to which the paths in the lists are relative. */
  readonly root: string;
  readonly videos: readonly FrameVideo[];
  /** Folders that are left out, although they seem to hold frames. */
  readonly warnings: readonly string[];
}

/**
 * All folders with images in a folder, at any depth, in natural order. Throws DataError if there are none, or their names do not fit
 * into lists.
 */
export async function findFrameVideos(folder: string, fps: number): Promise<FrameVideos> {
  const { found, warnings } = await walk(folder, fps);
  if (found.length === 0) {
    throw new DataError(
      `${folder}: there are no images in this folder or in folders below it; expected one folder of frames for each video. ` +
        `From videos, stmixer data prepare makes frames and lists${warnings.map((text) => `; ${text}`).join('')}`,
    );
  }
  const isSingle = found.length === 1 && found[0].folder === folder;
  if (!isSingle && found.some((video) => video.folder === folder)) {
    throw new DataError(
      `${folder}: there are images beside the folders of frames (first: ${found.find((video) => video.folder === folder)!.names[0]}); ` +
        'move them into a folder of their own, or out of this one',
    );
  }
  const root = isSingle ? dirname(realpathSync(folder)) : folder;
  const videos = nameVideos(root, isSingle ? [{ ...found[0], folder: realpathSync(folder) }] : found);
  checkNames(root, videos);
  return { root, videos, warnings };
}

type Unnamed = Omit<FrameVideo, 'name'>;

async function walk(root: string, fps: number): Promise<{ found: Unnamed[]; warnings: string[] }> {
  const found: Unnamed[] = [];
  const warnings: string[] = [];
  const seen = new Set<string>();
  const enter = async (folder: string, topFolder: string | null): Promise<void> => {
    const real = realpathSync(folder);
    if (seen.has(real)) return;
    seen.add(real);
    const note = readNote(folder);
    const frames = await listFrames(folder, note?.fps ?? fps);
    if (frames.names.length > 0)
      found.push({ ...frames, folder, topFolder, fps: note?.fps ?? null, start: note?.start ?? null });
    else warnings.push(...unreadFrames(folder, frames.skipped));
    for (const name of foldersIn(folder)) await enter(join(folder, name), topFolder ?? name);
  };
  try {
    await enter(root, null);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const path = (error as NodeJS.ErrnoException).path ?? root;
    const reason = absenceOf(path, 'folder', `cannot list the frames: ${systemErrorText(error)}`);
    throw new DataError(`${path}: ${reason}`, { cause: error });
  }
  return { found, warnings };
}

/** Says that a folder without a frame has images in another format. */
function unreadFrames(folder: string, skipped: SkippedFiles): string[] {
  const first = skipped.first('image') ?? skipped.first('animated');
  if (first === null) return [];
  return [
    `${folder} is in no list, because its images cannot be read as frames (first: ${basename(first)}); convert them to JPEG or PNG`,
  ];
}

function foldersIn(folder: string): string[] {
  const { compare } = new Intl.Collator('en', { numeric: true });
  const isFolder = (entry: Dirent) =>
    entry.isDirectory() ||
    (entry.isSymbolicLink() &&
      statSync(join(folder, entry.name), { throwIfNoEntry: false })?.isDirectory() === true);
  return sortedEntries(folder)
    .filter((entry) => !entry.name.startsWith('.') && isFolder(entry))
    .map(({ name }) => name)
    .sort(compare);
}

/** Names each video after its folder; if two have the same name, after their paths. */
function nameVideos(root: string, found: readonly Unnamed[]): FrameVideo[] {
  const names = new Set(found.map(({ folder }) => basename(folder)));
  const isUnique = names.size === found.length;
  return found.map((video) => ({
    ...video,
    name: isUnique ? basename(video.folder) : relative(root, video.folder).split(sep).join('/'),
  }));
}

/** Throws DataError for paths that would not be one column of a frame list. */
function checkNames(root: string, videos: readonly FrameVideo[]): void {
  const problems = new Problems();
  for (const { folder, names } of videos) {
    const path = relative(root, folder);
    const file = names.find((name) => /[\s,"]/.test(name));
    if (/[\s,"]/.test(path)) problems.add(sentence(folder, basename(folder)));
    else if (file !== undefined) problems.add(sentence(join(folder, file), file));
  }
  problems.throwIfAny();
}

function sentence(path: string, name: string): string {
  return (
    `${path}: names cannot have spaces, commas or quotes, which separate the columns of frame lists and annotations; rename it, ` +
    `e.g. to ${name.trim().replace(/[\s,"]+/g, '_')}`
  );
}
