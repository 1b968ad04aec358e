/** @file What people are looked for in: the frames of a video, a folder of pictures, or one picture. */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, extname, join, parse, resolve } from 'node:path';
import { isDiskFull, lastWords, probeVideo, requireFfmpeg, runFfmpeg } from '../data_tools/ffmpeg.js';
import { DataError } from '../errors.js';
import { makeTemporaryFolder, temporaryFolderError } from '../util/temporary_folder.js';

const PICTURES = new Set('.jpg .jpeg .png .webp .tif .tiff .gif .avif'.split(' '));

export interface Frames {
  readonly kind: 'video' | 'folder' | 'picture';
  /** The name of the file or folder, without an ending. */
  readonly name: string;
  /** The files of the frames, in order. */
  readonly paths: readonly string[];
  readonly fps: number;
  /** What ffmpeg complained about, though there are frames; null where there is nothing. */
  readonly complaint: string | null;
  /** Removes what was made for reading them. */
  close(): void;
}

export interface InputOptions {
  /** Videos are taken apart at this rate, and pictures of a folder follow each other at it. */
  readonly fps: number;
  readonly signal: AbortSignal;
  /** Told how many frames of a video are out so far, and of how many, where that is known. */
  readonly extracted?: (frames: number, total: number | null) => void;
}

/** Throws DataError where there is no such file or folder. */
export function requireInput(input: string): void {
  if (!existsSync(input)) throw new DataError(`--input: ${input}: there is no such file or folder`);
}

/** Throws DataError where the input is not there or has no pictures, UserError where a video needs ffmpeg. */
export async function openInput(input: string, { fps, signal, extracted }: InputOptions): Promise<Frames> {
  requireInput(input);
  const name = parse(resolve(input)).name;
  const still = { name, fps, complaint: null, close() {} };
  if (statSync(input).isDirectory()) {
    return { ...still, kind: 'folder', name: basename(resolve(input)), paths: picturesIn(input) };
  }
  if (isPicture(input)) return { ...still, kind: 'picture', paths: [input] };
  return extract(input, name, { fps, signal, extracted });
}

function isPicture(file: string): boolean {
  return PICTURES.has(extname(file).toLowerCase());
}

/** Sorted by name, numbers by value: frame_2 comes before frame_10. */
function picturesIn(folder: string): string[] {
  const { compare } = new Intl.Collator('en', { numeric: true });
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && isPicture(entry.name))
    .map((entry) => entry.name)
    .sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
  if (files.length === 0) {
    throw new DataError(
      `--input: ${folder}: there are no pictures in this folder (${[...PICTURES].join(' ')})`,
    );
  }
  return files.map((file) => join(folder, file));
}

/**
 * Checks what takes no time, before anything that does: a video needs room for its frames. Throws ConfigError, which names TMPDIR,
 * where nothing can be stored there.
 */
export function requireRoomFor(input: string): void {
  if (statSync(input).isDirectory() || isPicture(input)) return;
  const folder = makeTemporaryFolder(FRAMES);
  try {
    writeFileSync(join(folder, 'room'), Buffer.alloc(ROOM_BYTES));
  } catch (error) {
    throw temporaryFolderError(FRAMES, error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is stored in the temporary folder, and a few frames of it, in bytes. */
const FRAMES = 'the frames of the video';
const ROOM_BYTES = 2 ** 20;

/** Takes a video apart into a temporary folder. */
async function extract(
  path: string,
  name: string,
  { fps, signal, extracted }: InputOptions,
): Promise<Frames> {
  await requireFfmpeg();
  const { duration, problem } = await probeVideo(path, signal);
  if (problem !== null)
    throw new DataError(`--input: ${path}: this is no video that ffmpeg can read: ${problem}`);
  const folder = makeTemporaryFolder(FRAMES);
  const close = () => {
    process.off('exit', close);
    rmSync(folder, { recursive: true, force: true });
  };
  // For exits that do not wait, such as that of a second Ctrl-C.
  process.on('exit', close);
  try {
    const total = duration === null ? null : Math.round(duration * fps);
    const args = [
      ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-progress', 'pipe:1'],
      ...['-i', `file:${resolve(path)}`, '-map', '0:V:0', '-vf', `fps=fps=${fps}:start_time=0`],
      ...['-q:v', '2', '-f', 'image2', './frame_%06d.jpg'],
    ];
    const run = await runFfmpeg(args, {
      cwd: folder,
      signal,
      onFrames: (frames) => extracted?.(frames, total),
    });
    if (isDiskFull(run.lines))
      throw new DataError(
        `${folder}: there is no space left for the frames of ${path}; set TMPDIR to a folder with room for them`,
      );
    const paths = readdirSync(folder)
      .sort()
      .map((file) => join(folder, file));
    if (paths.length === 0) {
      throw new DataError(
        `--input: ${path}: no frames can be taken out of this video: ${lastWords(run.lines)}`,
      );
    }
    // A video that breaks off still has what comes before.
    const complaint = run.lines.length > 0 ? lastWords(run.lines) : null;
    return { kind: 'video', name, paths, fps, complaint, close };
  } catch (error) {
    close();
    throw error;
  }
}
