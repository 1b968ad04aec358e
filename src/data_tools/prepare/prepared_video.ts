/**
 * @file The frames of one video: extracted into a temporary folder that takes its place when complete, with a note of
 * the settings in it. A folder under its final name is therefore always whole.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DataError, UserError } from '../../errors.js';
import { isDiskFull, lastWords, runFfmpeg } from '../../media/ffmpeg.js';
import { type ExtractionSettings, extractionArguments } from '../../media/frame_extraction.js';
import type { VideoFacts } from '../../media/video_facts.js';
import type { VideoFile } from './videos.js';

/** Written beside the frames; a name with a point is no frame. */
export const NOTE = '.prepared.json';

/** How a folder of frames came about. */
export interface PreparationNote extends ExtractionSettings {
  readonly frames: number;
  /** The video file's name and size. */
  readonly source: string;
  readonly bytes: number;
  /** True for frames of an HDR video that were not mapped to SDR. */
  readonly washedOut?: boolean;
}

/** The note in a folder of frames; null where it was not made by `prepare`, or is not whole. */
export function readNote(folder: string): PreparationNote | null {
  try {
    const note = JSON.parse(readFileSync(join(folder, NOTE), 'utf8')) as PreparationNote;
    return Number.isInteger(note.frames) && Number.isInteger(note.fps) ? note : null;
  } catch {
    return null;
  }
}

/**
 * The note of a video that is done with these settings, or null where it is still to be done. Throws DataError where its
 * folder holds something else.
 */
export function noteOfDone(
  frameFolder: string,
  video: VideoFile,
  settings: ExtractionSettings,
): PreparationNote | null {
  const folder = join(frameFolder, video.name);
  if (!existsSync(folder)) return null;
  const note = readNote(folder);
  if (!note) {
    throw new DataError(
      `${folder} is there already and was not made by this command; move it away, or choose another --out`,
    );
  }
  const before = describeSettings(note);
  if (before !== describeSettings(settings)) {
    throw new DataError(
      `${folder} was made with ${before}, not ${describeSettings(settings)}; frames of both kinds would not go ` +
        'together: take the same flags, choose another --out, or delete what is there',
    );
  }
  return isOf(note, video) ? note : null;
}

/** Whether there are frames of this very file, of whatever settings. */
export function hasFrames(frameFolder: string, video: VideoFile): boolean {
  const note = readNote(join(frameFolder, video.name));
  return note !== null && isOf(note, video);
}

/** False for another file under the same name, e.g. a download that is complete by now. */
function isOf(note: PreparationNote, video: VideoFile): boolean {
  return note.source === basename(video.path) && note.bytes === video.bytes;
}

function describeSettings({ start, end, fps, shortSide }: ExtractionSettings): string {
  return `--start ${start} --end ${end} --fps ${fps} --short-side ${shortSide}`;
}

/** A video whose frames cannot be had; the others can. */
export class VideoError extends DataError {}

/** A video that has no pictures after --start. */
export class TooShortError extends VideoError {}

export interface ExtractionJob {
  readonly facts: VideoFacts;
  readonly mapHdr: boolean;
  readonly threads: number;
  readonly signal: AbortSignal;
  onFrames(frames: number): void;
}

export interface Extracted {
  readonly frames: number;
  /** What ffmpeg complained about and went on, or null. */
  readonly complaint: string | null;
}

/** Extracts the frames of a video. Throws VideoError, UserError for a full disk, or the reason of the abort. */
export async function extractFrames(
  frameFolder: string,
  video: VideoFile,
  settings: ExtractionSettings,
  job: ExtractionJob,
): Promise<Extracted> {
  const partial = join(frameFolder, `.${video.name}.partial`);
  const folder = join(frameFolder, video.name);
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    const { start, end, fps, shortSide } = settings;
    const maxFrames = (end - start) * fps;
    const args = extractionArguments(video.path, video.name, { start, fps, maxFrames, shortSide, ...job });
    const { code, lines } = await runFfmpeg(args, { ...job, cwd: partial });
    if (isDiskFull(lines)) throw new UserError(DISK_FULL(frameFolder));
    if (code !== 0) throw new VideoError(lastWords(lines));
    const frames = countFrames(partial, video.name);
    if (frames === 0) throw withoutFrames(start, lines);
    const source = basename(video.path);
    const washedOut = job.facts.hdr !== null && !job.mapHdr;
    const note: PreparationNote = {
      start,
      end,
      fps,
      shortSide,
      frames,
      source,
      bytes: video.bytes,
      washedOut,
    };
    writeFileSync(join(partial, NOTE), `${JSON.stringify(note)}\n`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
    return { frames, complaint: lines.length > 0 ? lastWords(lines) : null };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new UserError(DISK_FULL(frameFolder), { cause: error });
    throw error;
  }
}

function withoutFrames(start: number, lines: readonly string[]): VideoError {
  if (start > 0) return new TooShortError(`it has no pictures after second ${start} (--start)`);
  return new VideoError(`no pictures can be taken out of it: ${lastWords(lines)}`);
}

const DISK_FULL = (folder: string) =>
  `there is no space left for the frames in ${folder}; make room, and the same command goes on where it was`;

function countFrames(folder: string, name: string): number {
  const files = new Set(readdirSync(folder));
  let count = 0;
  while (files.has(frameName(name, count))) count++;
  return count;
}

/** The file of frame `index`, counted from 0; as in AVA, files count from 1. */
export function frameName(video: string, index: number): string {
  return `${video}_${String(index + 1).padStart(6, '0')}.jpg`;
}
