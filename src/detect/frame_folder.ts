/** @file A folder of frames: its pictures in order, whether they go together, and what else lies in it. */
import { type Dirent, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import sharp from 'sharp';
import { pictureError } from '../data/clip/image_problem.js';
import { readPictureSize } from '../data/clip/image_size.js';
import { kindOf, sortedEntries } from '../data_tools/prepare/listed_files.js';
import { PassedOver, type PassedOverKind } from '../data_tools/prepare/passed_over.js';
import { NOTE } from '../data_tools/prepare/prepared_video.js';
import { DataError } from '../errors.js';
import { namesIn } from '../files/folder_names.js';
import { isAnimated, isAnimatedPictureName } from '../media/moving_pictures.js';
import { countOf } from '../util/progress.js';
import { orderFrames } from './frame_names.js';

const PICTURES = new Set('.jpg .jpeg .png .webp .tif .tiff .gif .avif'.split(' '));

/** Whether a file is a picture by its ending. */
export function isPicture(file: string): boolean {
  return PICTURES.has(extname(file).toLowerCase());
}

export interface FrameFolder {
  /** The files of the frames, in order. */
  readonly paths: readonly string[];
  /** Sentences about what is not taken, and about what may be wrong. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Looks through a folder of frames, which will follow each other at `fps`. Throws DataError without pictures, and for
 * pictures that cannot be read or have different sizes; or the reason of the abort.
 */
export async function openFrameFolder(
  folder: string,
  fps: number,
  signal: AbortSignal,
): Promise<FrameFolder> {
  const { pictures, others } = await look(folder);
  if (pictures.length === 0) throw withoutPictures(folder, others);
  const { names, notes, warnings } = orderFrames(pictures, fps);
  await checkPictures(folder, names, signal);
  const left = others.describe();
  const withFolder = (remark: string) => `${folder}: ${remark}`;
  return {
    paths: names.map((name) => join(folder, name)),
    notes: [
      ...(left.length > 0 ? [`not taken from ${folder}: ${left.join(', ')}`] : []),
      ...notes.map(withFolder),
    ],
    warnings: warnings.map(withFolder),
  };
}

async function look(folder: string): Promise<{ pictures: string[]; others: PassedOver }> {
  const others = new PassedOver();
  const pictures: string[] = [];
  for (const entry of sortedEntries(folder)) {
    if (entry.name === NOTE) continue;
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) others.add('hidden', path);
    else if (isFolder(entry, path)) others.add('folder', path);
    else if (!isPicture(entry.name)) others.add(otherKind(path), path);
    else if (!/\.png$/i.test(path) && isAnimatedPictureName(path) && (await isAnimated(path)))
      others.add('animated', path);
    else pictures.push(entry.name);
  }
  return { pictures, others };
}

function isFolder(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function otherKind(path: string): PassedOverKind {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return 'danglingLink';
  if (!stats.isFile()) return 'special';
  const kind = kindOf(path);
  return kind === 'ask' ? 'other' : kind;
}

function withoutPictures(folder: string, others: PassedOver): DataError {
  const found = others.describe();
  const single = others.first('video') ?? others.first('animated');
  const deeper = others.first('folder');
  const hint = single ?? (deeper !== null && namesIn(deeper).some(isPicture) ? deeper : null);
  return new DataError(
    `--input: ${folder}: there are no pictures in this folder (${[...PICTURES].join(' ')})` +
      `${found.length > 0 ? `, but ${found.join(', ')}` : ''}${hint === null ? '' : `; try --input ${hint}`}`,
  );
}

/** Pictures whose headers are read before the event loop gets a turn. */
const AT_A_TIME = 256;

/** Throws DataError unless all headers can be read and tell one size. */
async function checkPictures(folder: string, names: readonly string[], signal: AbortSignal): Promise<void> {
  const sizes = new Map<string, { number: number; first: string }>();
  const broken: string[] = [];
  for (const [i, name] of names.entries()) {
    if (i % AT_A_TIME === 0) await nextTurn();
    signal.throwIfAborted();
    try {
      const size = await sizeOf(join(folder, name), `picture ${i + 1}`);
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
      `--input: ${folder}: ${broken.length} of ${countOf(names.length, 'picture')} cannot be read${
        broken.length > 1 ? ', first' : ''
      }: ${broken[0]}; or move what is no frame out of the folder`,
    );
  }
  if (sizes.size > 1) throw ofDifferentSizes(folder, sizes);
}

/** Width×height as the picture is shown. Throws DataError that says why it cannot be read. */
async function sizeOf(path: string, what: string): Promise<string> {
  try {
    const { width, height } = readPictureSize(path, what);
    return `${width}×${height}`;
  } catch {
    // Formats other than JPEG and PNG, whatever the ending.
    const { autoOrient } = await sharp(path)
      .metadata()
      .catch((error) => Promise.reject(pictureError(path, what, error)));
    return `${autoOrient.width}×${autoOrient.height}`;
  }
}

const SHOWN = 3;

function ofDifferentSizes(
  folder: string,
  sizes: ReadonlyMap<string, { number: number; first: string }>,
): DataError {
  const list = [...sizes]
    .sort(([, a], [, b]) => b.number - a.number)
    .slice(0, SHOWN)
    .map(([size, { number, first }]) => `${size} (${countOf(number, 'picture')}, first: ${first})`);
  const more = sizes.size > SHOWN ? ` and ${sizes.size - SHOWN} more sizes` : '';
  return new DataError(
    `--input: ${folder}: the pictures have different sizes: ${list.join(', ')}${more}. The frames of a video have one size: ` +
      'move others out of the folder, and give pictures that are no frames one by one',
  );
}
