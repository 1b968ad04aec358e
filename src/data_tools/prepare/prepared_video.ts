/**
 * @file Extracting the frames of one video. They are written into a temporary folder, which is renamed when it is complete, so a
 * folder under its final name always has all frames and a note of their settings.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type PreparationNote, readNote, writeNote } from '../../data/datasets/preparation_note.js';
import { exactTime } from '../../data/time.js';
import { DataError, UserError } from '../../errors.js';
import { ffmpegError, isDiskFull, runFfmpeg } from '../../media/ffmpeg.js';
import { type ExtractionSettings, extractionArgs } from '../../media/frame_extraction.js';
import type { VideoMetadata } from '../../media/video_metadata.js';
import type { VideoFile } from './videos.js';
import type { ListedVideo } from './write_frame_list.js';

/**
 * The note of a video that was prepared with these settings, or null if it still has to be. Throws DataError if its folder holds
 * something else.
 */
export function noteOfPrepared(
  frameFolder: string,
  video: VideoFile,
  settings: ExtractionSettings,
): PreparationNote | null {
  const folder = join(frameFolder, video.name);
  if (!existsSync(folder)) return null;
  const note = readNote(folder);
  if (!note) {
    throw new DataError(
      `${folder} exists already and was not made by this command; move it away, or choose another --out`,
    );
  }
  const before = describeSettings(note);
  if (before !== describeSettings(settings)) {
    throw new DataError(
      `${folder} was made with ${before}, not ${describeSettings(settings)}, and such frames cannot be mixed: use the ` +
        'same flags, choose another --out, or delete the folder',
    );
  }
  return isFrom(video, note) ? note : null;
}

/** Whether this file was prepared before, with any settings. */
export function isPrepared(frameFolder: string, video: VideoFile): boolean {
  const note = readNote(join(frameFolder, video.name));
  return note !== null && isFrom(video, note);
}

/** False for another file with the same name, such as a download that has been completed. */
function isFrom(video: VideoFile, note: PreparationNote): boolean {
  return note.source === basename(video.path) && note.bytes === video.bytes;
}

function describeSettings({ start, end, fps, shortSide }: ExtractionSettings): string {
  return `--start ${start} --end ${end} --fps ${fps} --short-side ${shortSide}`;
}

/** A problem of one video, which does not affect the others. */
export class VideoError extends DataError {}

/** A video without frames after --start. */
export class TooShortError extends VideoError {}

export interface ExtractionJob {
  readonly settings: ExtractionSettings;
  readonly metadata: VideoMetadata;
  readonly mapHdr: boolean;
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Called with the number of frames extracted so far. */
  onFrames(frames: number): void;
}

export interface Extracted {
  readonly frames: number;
  /** An error that ffmpeg reported without stopping, or null. */
  readonly complaint: string | null;
}

/** Extracts the frames of a video. Throws VideoError, UserError for a full disk, or the reason of the abort. */
export async function extractFrames(
  frameFolder: string,
  video: VideoFile,
  job: ExtractionJob,
): Promise<Extracted> {
  const partial = join(frameFolder, `.${video.name}.partial`);
  const folder = join(frameFolder, video.name);
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    const extracted = await extractInto(partial, video, job);
    writeNote(partial, {
      ...pickSettings(job.settings),
      frames: extracted.frames,
      source: basename(video.path),
      bytes: video.bytes,
      washedOut: job.metadata.hdr !== null && !job.mapHdr,
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
    return extracted;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof DiskFull || code === 'ENOSPC' || code === 'EDQUOT') {
      throw new UserError(
        `there is no space left for the frames in ${frameFolder}; free some space and run the same command again: it ` +
          'continues where it stopped',
        { cause: error },
      );
    }
    throw error;
  }
}

class DiskFull extends Error {}

async function extractInto(folder: string, video: VideoFile, job: ExtractionJob): Promise<Extracted> {
  const { start, end, fps, shortSide } = job.settings;
  const maxFrames = Math.ceil(exactTime((end - start) * fps));
  const args = extractionArgs(video.path, video.name, { ...job, start, fps, maxFrames, shortSide });
  const { code, lines } = await runFfmpeg(args, { ...job, cwd: folder });
  if (isDiskFull(lines)) throw new DiskFull();
  if (code !== 0) throw new VideoError(ffmpegError(lines));
  const frames = countFrames(folder, video.name);
  if (frames > 0) return { frames, complaint: lines.length > 0 ? ffmpegError(lines) : null };
  if (start > 0) throw new TooShortError(`it has no frames after second ${start} (--start)`);
  throw new VideoError(`no frames can be extracted from it: ${ffmpegError(lines)}`);
}

function pickSettings({ start, end, fps, shortSide }: ExtractionSettings): ExtractionSettings {
  return { start, end, fps, shortSide };
}

function countFrames(folder: string, name: string): number {
  const files = new Set(readdirSync(folder));
  let count = 0;
  while (files.has(frameName(name, count))) count++;
  return count;
}

/** The rows of a frame list, one video at a time. */
export function* withPaths(
  videos: Iterable<{ readonly name: string; readonly frames: number }>,
): Generator<ListedVideo> {
  for (const { name, frames } of videos) {
    const paths = Array.from({ length: frames }, (_, frame) => `${name}/${frameName(name, frame)}`);
    yield { name, paths };
  }
}

/** The file name of frame `index`, which counts from 0; as in AVA, names count from 1. */
export function frameName(video: string, index: number): string {
  return `${video}_${String(index + 1).padStart(6, '0')}.jpg`;
}
