/** @file The input of a detection: the frames of a video, a folder of images, or one image. */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, parse, resolve } from 'node:path';
import { DataError } from '../errors.js';
import { makeTemporaryFolder, temporaryFolderError } from '../files/temporary_folder.js';
import { twinClause } from '../files/twins.js';
import { isAnimated, mayBeAnimated } from '../media/animated_images.js';
import { ffmpegError, fileUrl, isDiskFull, requireFfmpeg, runFfmpeg } from '../media/ffmpeg.js';
import { unsupportedImageFile } from '../media/file_kinds.js';
import type { UnsupportedImage } from '../media/foreign_content.js';
import { extractionArgs, missingHdrFilters, washedOut } from '../media/frame_extraction.js';
import type { VideoSource } from '../media/overlay_video.js';
import { probeVideo, type VideoMetadata } from '../media/video_metadata.js';
import { addressProblem, withoutPassword } from '../util/addresses.js';
import { isImage, openFrameFolder } from './frame_folder.js';

export interface Frames {
  readonly kind: 'video' | 'folder' | 'image';
  /** Name of the file or folder, without an extension. */
  readonly name: string;
  /** Paths of the frames, in order. */
  readonly paths: readonly string[];
  readonly fps: number;
  /** The video that the frames come from, with a folder for temporary files; null for images. */
  readonly video: (VideoSource & { readonly folder: string }) | null;
  /** Sentences about skipped files and other facts. */
  readonly notes: readonly string[];
  /** Sentences about possible problems of the frames. */
  readonly warnings: readonly string[];
  /** Removes temporary files. */
  close(): void;
}

export interface InputOptions {
  /** Rate at which the frames of a video are extracted; also the rate of the images in a folder. */
  readonly fps: number;
  readonly signal: AbortSignal;
  /** Called with the number of frames extracted so far, and the total if it is known. */
  readonly extracted?: (frames: number, total: number | null) => void;
}

/** Throws DataError if there is no such file or folder; for an address or a camera it says that these are not read. */
export function requireInput(input: string): void {
  const isThere = existsSync(input);
  const address = isThere && !isDevice(input) ? null : addressProblem(input, 'video');
  if (address !== null) throw new DataError(`--input: ${withoutPassword(input)}: ${address}`);
  if (isThere) return;
  throw new DataError(`--input: ${input}: there is no such file or folder${twinClause(resolve(input))}`);
}

function isDevice(path: string): boolean {
  return statSync(path).isCharacterDevice();
}

/** Throws DataError if the input does not exist or has no images, UserError if a video needs ffmpeg. */
export async function openInput(input: string, options: InputOptions): Promise<Frames> {
  requireInput(input);
  const { fps, signal } = options;
  const still = {
    name: parse(resolve(input)).name,
    fps,
    video: null,
    notes: [],
    warnings: [],
    close() {},
  };
  if (statSync(input).isDirectory()) {
    const folder = await openFrameFolder(input, fps, signal);
    return { ...still, ...folder, kind: 'folder', name: basename(resolve(input)) };
  }
  const unsupported = unsupportedImageFile(input);
  if (unsupported !== null) return convertImage(input, unsupported, still, signal);
  const moves = mayBeAnimated(input) && (await isAnimated(input));
  if (isImage(input) && !moves) return { ...still, kind: 'image', paths: [input] };
  return extract(input, options);
}

/**
 * Checks early whether there is room for the frames of a video. Throws ConfigError, which names TMPDIR, if nothing can be written to
 * the temporary folder.
 */
export function requireRoomFor(input: string): void {
  if (statSync(input).isDirectory() || isImage(input)) return;
  const folder = makeTemporaryFolder(FRAMES);
  try {
    writeFileSync(join(folder, 'room'), Buffer.alloc(ROOM_BYTES));
  } catch (error) {
    throw temporaryFolderError(FRAMES, error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Content of the temporary folder, for messages. */
const FRAMES = 'the frames of the video';
/** Size of a few frames. */
const ROOM_BYTES = 2 ** 20;

/**
 * Converts an image with ffmpeg if frames may not have its format. Throws DataError, which says how to convert it, if that
 * fails.
 */
async function convertImage(
  path: string,
  { isConvertible, sentence }: UnsupportedImage,
  still: Pick<Frames, 'name' | 'fps' | 'video' | 'warnings'>,
  signal: AbortSignal,
): Promise<Frames> {
  const refusal = new DataError(`--input: ${path}: ${sentence}`);
  if (!isConvertible) throw refusal;
  const { folder, close } = temporaryFrames();
  const args = ['-hide_banner', '-nostdin', '-loglevel', 'error', '-i', fileUrl(path)];
  const output = ['-frames:v', '1', '-pix_fmt', 'rgb24', '-f', 'image2', 'frame.png'];
  try {
    await runFfmpeg([...args, ...output], { cwd: folder, signal });
  } catch (error) {
    close();
    // Without ffmpeg, the user converts the image.
    if (signal.aborted) throw error;
    throw refusal;
  }
  const frame = join(folder, 'frame.png');
  if (existsSync(frame))
    return { ...still, kind: 'image', paths: [frame], notes: [`${path} was converted by ffmpeg`], close };
  close();
  throw refusal;
}

/** A temporary folder for frames, which `close` removes. */
function temporaryFrames(): { folder: string; close: () => void } {
  const folder = makeTemporaryFolder(FRAMES);
  const close = () => {
    process.off('exit', close);
    rmSync(folder, { recursive: true, force: true });
  };
  // Covers exits that do not wait, such as the one after a second Ctrl-C.
  process.on('exit', close);
  return { folder, close };
}

/** Extracts the frames of a video into a temporary folder. */
async function extract(path: string, options: InputOptions): Promise<Frames> {
  await requireFfmpeg();
  const metadata = await probeVideo(path, options.signal);
  const { kind, problem } = metadata;
  if (statSync(path).size === 0) throw new DataError(`--input: ${path}: the file is empty (0 bytes)`);
  if (problem !== null && kind !== 'image')
    throw new DataError(`--input: ${path}: this is not a video that ffmpeg can read: ${problem}`);
  const missing = metadata.hdr === null ? [] : await missingHdrFilters(options.signal);
  const { folder, close } = temporaryFrames();
  try {
    const warnings = missing.length > 0 ? [washedOut([path], missing)] : [];
    const job = { path, folder, metadata, mapHdr: missing.length === 0 };
    const { paths, complaint } = await extractInto(job, options);
    if (complaint !== null) warnings.push(`ffmpeg says about ${path}: ${complaint}`);
    return {
      kind: kind === 'image' ? 'image' : 'video',
      name: parse(resolve(path)).name,
      paths,
      fps: options.fps,
      video: { path, folder, metadata, mapHdr: job.mapHdr },
      notes: [],
      warnings,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

interface ExtractionJob {
  readonly path: string;
  readonly folder: string;
  readonly metadata: VideoMetadata;
  readonly mapHdr: boolean;
}

/** Extracts frames; a broken video may still have some, so ffmpeg's complaint is returned beside them. */
async function extractInto(
  { path, folder, metadata, mapHdr }: ExtractionJob,
  { fps, signal, extracted }: InputOptions,
): Promise<{ paths: string[]; complaint: string | null }> {
  const total = metadata.duration === null ? null : Math.round(metadata.duration * fps);
  const whole = { start: 0, maxFrames: null, shortSide: null, threads: null };
  const { lines } = await runFfmpeg(extractionArgs(path, 'frame', { ...whole, fps, metadata, mapHdr }), {
    cwd: folder,
    signal,
    onFrames: (frames) => extracted?.(frames, total),
  });
  if (isDiskFull(lines)) {
    throw new DataError(
      `${folder}: there is no space left for the frames of ${path}; set TMPDIR to a folder with room for them`,
    );
  }
  const files = readdirSync(folder).sort();
  if (files.length === 0) {
    throw new DataError(
      `--input: ${path}: no frames can be extracted from this video: ${ffmpegError(lines)}`,
    );
  }
  return {
    paths: files.map((file) => join(folder, file)),
    complaint: lines.length > 0 ? ffmpegError(lines) : null,
  };
}
