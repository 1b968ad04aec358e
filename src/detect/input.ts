/** @file What people are looked for in: the frames of a video, a folder of pictures, or one picture. */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, parse, resolve } from 'node:path';
import { DataError } from '../errors.js';
import { makeTemporaryFolder, temporaryFolderError } from '../files/temporary_folder.js';
import { twinClause } from '../files/twins.js';
import { isDiskFull, lastWords, requireFfmpeg, runFfmpeg } from '../media/ffmpeg.js';
import { extractionArguments, missingHdrFilters, washedOut } from '../media/frame_extraction.js';
import { isAnimated, isAnimatedPictureName } from '../media/moving_pictures.js';
import { probeVideo } from '../media/video_facts.js';
import { isPicture, openFrameFolder } from './frame_folder.js';

export interface Frames {
  readonly kind: 'video' | 'folder' | 'picture';
  /** The name of the file or folder, without an ending. */
  readonly name: string;
  /** The files of the frames, in order. */
  readonly paths: readonly string[];
  readonly fps: number;
  /** Sentences about what is not taken, and about what may be wrong with the frames. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
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
  if (existsSync(input)) return;
  throw new DataError(`--input: ${input}: there is no such file or folder${twinClause(resolve(input))}`);
}

/** Throws DataError where the input is not there or has no pictures, UserError where a video needs ffmpeg. */
export async function openInput(input: string, { fps, signal, extracted }: InputOptions): Promise<Frames> {
  requireInput(input);
  const name = parse(resolve(input)).name;
  const still = { name, fps, notes: [], warnings: [], close() {} };
  if (statSync(input).isDirectory()) {
    const folder = await openFrameFolder(input, fps, signal);
    return { ...still, ...folder, kind: 'folder', name: basename(resolve(input)) };
  }
  const moves = isAnimatedPictureName(input) && (await isAnimated(input));
  if (isPicture(input) && !moves) return { ...still, kind: 'picture', paths: [input] };
  return extract(input, name, { fps, signal, extracted });
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
  const facts = await probeVideo(path, signal);
  const { kind, duration, problem } = facts;
  if (statSync(path).size === 0) throw new DataError(`--input: ${path}: the file is empty (0 bytes)`);
  if (problem !== null && kind !== 'picture')
    throw new DataError(`--input: ${path}: this is no video that ffmpeg can read: ${problem}`);
  const missing = facts.hdr === null ? [] : await missingHdrFilters(signal);
  const folder = makeTemporaryFolder(FRAMES);
  const close = () => {
    process.off('exit', close);
    rmSync(folder, { recursive: true, force: true });
  };
  // For exits that do not wait, such as that of a second Ctrl-C.
  process.on('exit', close);
  try {
    const total = duration === null ? null : Math.round(duration * fps);
    const mapHdr = missing.length === 0;
    const whole = { start: 0, maxFrames: null, shortSide: null, threads: null };
    const args = extractionArguments(path, 'frame', { ...whole, fps, facts, mapHdr });
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
    const warnings = missing.length > 0 ? [washedOut([path], missing)] : [];
    // A video that breaks off still has what comes before.
    if (run.lines.length > 0) warnings.push(`ffmpeg says about ${path}: ${lastWords(run.lines)}`);
    const still = kind === 'picture';
    return { kind: still ? 'picture' : 'video', name, paths, fps, notes: [], warnings, close };
  } catch (error) {
    close();
    throw error;
  }
}
