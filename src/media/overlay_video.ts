/** @file A video with images laid over it by ffmpeg, which keeps its frames, their times, and its sound. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { DataError } from '../errors.js';
import { ffmpegError, fileUrl, runFfmpeg } from './ffmpeg.js';
import { imageFilters } from './frame_extraction.js';
import type { VideoMetadata } from './video_metadata.js';
import { EVEN_SIDES, qualityArgs } from './video_writer.js';

export interface VideoSource {
  readonly path: string;
  readonly metadata: VideoMetadata;
  /** Whether to map HDR to SDR, which needs the filters of `missingHdrFilters`. */
  readonly mapHdr: boolean;
}

export interface OverlayVideo {
  readonly source: VideoSource;
  /** Folder of the transparent images `000000.png` … of the size of the result. */
  readonly overlays: string;
  /** Seconds from one image to the next. The first is for second 0; each is shown until the middle between it and the next. */
  readonly period: number;
  readonly width: number;
  readonly height: number;
  /** The second at which the result ends; null for all of the video. */
  readonly end: number | null;
  readonly encoder: string;
  readonly path: string;
}

interface Watching {
  readonly signal: AbortSignal;
  readonly onFrames: (frames: number) => void;
}

/** Codecs of sound that MP4 files hold; other sound is encoded as AAC. */
const MP4_SOUND = new Set(['aac', 'mp3', 'ac3', 'eac3', 'opus', 'alac']);
/** Frame times of all usual rates are multiples of this, also those of 29.97 and 59.94 frames per second. */
const TIME_BASE = '1:240000';
const MICROSECONDS = 1e6;
/** ffmpeg ends with this code if much of the input is damaged; the result is complete. */
const DAMAGED_INPUT = 69;

/**
 * Writes the video. If its sound cannot be written, the result has none, and a sentence that says so is returned. Throws DataError
 * with ffmpeg's message, or the reason of an abort, which leaves a playable beginning of the video.
 */
export async function writeOverlayVideo(video: OverlayVideo, watching: Watching): Promise<string | null> {
  // ffmpeg may be killed by an exit that does not wait; its file would have no index.
  const removePart = () => rmSync(video.path, { force: true });
  process.on('exit', removePart);
  try {
    const ownTimes = [await ownTimesFlag(), 'vfr'];
    const first = await runFfmpeg(overlayArgs(video, [...sound(video), ...ownTimes]), watching);
    if (isDone(first.code)) return null;
    const hasSound = video.source.metadata.audio.length > 0;
    const { code, lines } = hasSound ? await runFfmpeg(overlayArgs(video, ownTimes), watching) : first;
    if (!isDone(code)) {
      removePart();
      throw new DataError(`${video.path}: the video cannot be written: ${ffmpegError(lines)}`);
    }
    return `detections.mp4 has no sound, because the sound of ${video.source.path} cannot be written: ${ffmpegError(first.lines)}`;
  } finally {
    process.off('exit', removePart);
  }
}

function isDone(code: number | null): boolean {
  return code === 0 || code === DAMAGED_INPUT;
}

/** The flag for the times of frames, in the words of this machine's ffmpeg. */
async function ownTimesFlag(): Promise<string> {
  const { stdout } = await promisify(execFile)('ffmpeg', ['-version']);
  return timesFlag(stdout);
}

/** The flag of an ffmpeg that introduces itself with this text: it has another name since version 5.1. */
function timesFlag(version: string): string {
  const numbers = /^ffmpeg version n?(\d+)\.(\d+)/.exec(version);
  const isOld = numbers !== null && Number(numbers[1]) + Number(numbers[2]) / 10 < 5.1;
  return isOld ? '-vsync' : '-fps_mode';
}

function sound({ source }: OverlayVideo): string[] {
  const copied = source.metadata.audio.every((codec) => MP4_SOUND.has(codec));
  return ['-map', '0:a?', '-c:a', copied ? 'copy' : 'aac'];
}

function overlayArgs(video: OverlayVideo, more: readonly string[]): string[] {
  const { source, overlays, period, end, encoder, path } = video;
  const step = Math.round(period * MICROSECONDS);
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-progress', 'pipe:1', '-y'],
    ...['-reinit_filter', '0', '-i', fileUrl(source.path)],
    ...['-f', 'image2', '-framerate', `${MICROSECONDS}/${step}`, '-start_number', '0'],
    ...['-i', `${fileUrl(overlays).replaceAll('%', '%%')}/%06d.png`],
    ...['-filter_complex', filters(video, step), '-map', '[out]'],
    ...more,
    ...['-c:v', encoder, ...qualityArgs(encoder)],
    // MPEG-4 has no time base as fine as this.
    ...(encoder === 'mpeg4' ? [] : ['-enc_time_base', TIME_BASE]),
    ...(end === null ? [] : ['-t', String(end)]),
    ...['-f', 'mp4', fileUrl(path)],
  ];
}

function filters({ source, width, height }: OverlayVideo, step: number): string {
  const { metadata, mapHdr } = source;
  const image = [...imageFilters({ metadata, mapHdr, shortSide: null }), `scale=${width}:${height}`];
  return [
    `[0:V:0]${image.join(',')}[video]`,
    `[1:v]settb=1/${MICROSECONDS},setpts='max(0,PTS-${step / 2})'[boxes]`,
    `[video][boxes]overlay=format=auto:eof_action=repeat,${EVEN_SIDES},format=yuv420p[out]`,
  ].join(';');
}
