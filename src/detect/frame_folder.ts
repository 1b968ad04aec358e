/** @file A folder of frames: its images in order, whether they belong together, and other files in it. */
import { type Dirent, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import sharp from 'sharp';
import { imageError } from '../data/clip/image_problem.js';
import { readImageSize } from '../data/clip/image_size.js';
import { NOTE } from '../data/datasets/preparation_note.js';
import { DataError } from '../errors.js';
import { namesIn, sortedEntries } from '../files/folder_names.js';
import { isAnimated, mayBeAnimated } from '../media/animated_images.js';
import { fileKind, unsupportedImageFile } from '../media/file_kinds.js';
import { SkippedFiles, type SkippedKind } from '../media/skipped_files.js';
import { countOf } from '../util/text.js';
import { orderFrames } from './frame_names.js';

const IMAGES = new Set('.jpg .jpeg .png .webp .tif .tiff .gif .avif'.split(' '));

/** Whether a file has the extension of an image. */
export function isImage(file: string): boolean {
  return IMAGES.has(extname(file).toLowerCase());
}

export interface FrameFolder {
  /** Paths of the frames, in order. */
  readonly paths: readonly string[];
  /** Sentences about skipped files and other facts. */
  readonly notes: readonly string[];
  /** Sentences about possible problems. */
  readonly warnings: readonly string[];
}

/**
 * Reads a folder of frames with the rate `fps`. Throws DataError if there are no images, or images cannot be read or have different
 * sizes; or the reason of the abort.
 */
export async function openFrameFolder(
  folder: string,
  fps: number,
  signal: AbortSignal,
): Promise<FrameFolder> {
  const { images, skipped } = await listImages(folder);
  if (images.length === 0) throw noImages(folder, skipped);
  const { names, notes, warnings } = orderFrames(images, fps);
  await checkImages(folder, names, signal);
  const others = skipped.describe();
  const withFolder = (remark: string) => `${folder}: ${remark}`;
  return {
    paths: names.map((name) => join(folder, name)),
    notes: [
      ...(others.length > 0 ? [`skipped in ${folder}: ${others.join(', ')}`] : []),
      ...notes.map(withFolder),
    ],
    warnings: warnings.map(withFolder),
  };
}

/** The images in a folder that are not animated, and everything else in it. Throws the error of the operating system. */
export async function listImages(folder: string): Promise<{ images: string[]; skipped: SkippedFiles }> {
  const skipped = new SkippedFiles();
  const images: string[] = [];
  for (const entry of sortedEntries(folder)) {
    if (entry.name === NOTE) continue;
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) skipped.add('hidden', path);
    else if (isFolder(entry, path)) skipped.add('folder', path);
    else if (!isImage(entry.name)) skipped.add(otherKind(path), path);
    else if (!/\.png$/i.test(path) && mayBeAnimated(path) && (await isAnimated(path)))
      skipped.add('animated', path);
    else images.push(entry.name);
  }
  return { images, skipped };
}

function isFolder(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function otherKind(path: string): SkippedKind {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return 'danglingLink';
  if (!stats.isFile()) return 'special';
  const kind = fileKind(path);
  return kind === 'ask' ? 'other' : kind;
}

function noImages(folder: string, skipped: SkippedFiles): DataError {
  const found = skipped.describe();
  const single = skipped.first('video') ?? skipped.first('animated');
  const deeper = skipped.first('folder');
  const hint = single ?? (deeper !== null && namesIn(deeper).some(isImage) ? deeper : null);
  const other = skipped.first('image');
  const unsupported = other === null ? null : unsupportedImageFile(other);
  if (unsupported !== null) {
    return new DataError(
      `--input: ${folder}: there are no frames in this folder that can be read, but ${found.join(', ')}: ${unsupported.sentence}`,
    );
  }
  return new DataError(
    `--input: ${folder}: there are no images in this folder (${[...IMAGES].join(' ')})` +
      `${found.length > 0 ? `, but ${found.join(', ')}` : ''}${hint === null ? '' : `; try --input ${hint}`}`,
  );
}

/** Number of headers that are read between two turns of the event loop. */
const AT_A_TIME = 256;

/** Throws DataError unless all headers can be read and have the same size. */
async function checkImages(folder: string, names: readonly string[], signal: AbortSignal): Promise<void> {
  const sizes = new Map<string, { number: number; first: string }>();
  const broken: string[] = [];
  for (const [i, name] of names.entries()) {
    if (i % AT_A_TIME === 0) await nextTurn();
    signal.throwIfAborted();
    try {
      const size = await sizeOf(join(folder, name), `image ${i + 1}`);
      const entry = sizes.get(size);
      if (entry) entry.number++;
      else sizes.set(size, { number: 1, first: name });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      broken.push(error.message);
    }
  }
  if (broken.length > 0) {
    throw new DataError(
      `--input: ${folder}: ${broken.length} of ${countOf(names.length, 'image')} cannot be read${
        broken.length > 1 ? ', first' : ''
      }: ${broken[0]}; or move files that are not frames out of the folder`,
    );
  }
  if (sizes.size > 1) throw differentSizes(folder, sizes);
}

/** Size of the image as it is shown, `width×height`. Throws DataError if it cannot be read. */
async function sizeOf(path: string, what: string): Promise<string> {
  try {
    const { width, height } = readImageSize(path, what);
    return `${width}×${height}`;
  } catch {
    // The file is neither JPEG nor PNG, whatever its extension.
    const { autoOrient } = await sharp(path)
      .metadata()
      .catch((error) => Promise.reject(imageError(path, what, error)));
    return `${autoOrient.width}×${autoOrient.height}`;
  }
}

const SHOWN = 3;

function differentSizes(
  folder: string,
  sizes: ReadonlyMap<string, { number: number; first: string }>,
): DataError {
  const list = [...sizes]
    .sort(([, a], [, b]) => b.number - a.number)
    .slice(0, SHOWN)
    .map(([size, { number, first }]) => `${size} (${countOf(number, 'image')}, first: ${first})`);
  const more = sizes.size > SHOWN ? ` and ${sizes.size - SHOWN} more sizes` : '';
  return new DataError(
    `--input: ${folder}: the images have different sizes: ${list.join(', ')}${more}. The frames of a video have one size: ` +
      'move other images out of the folder, and give images that are not frames one by one',
  );
}
