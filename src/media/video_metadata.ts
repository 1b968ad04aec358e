/** @file Metadata of a video that ffmpeg reports without decoding it: kind, length, colours. */
import { statSync } from 'node:fs';
import { isAnimated, mayBeAnimated } from './animated_images.js';
import { describeFile, ffmpegError } from './ffmpeg.js';
import { readStart } from './file_kinds.js';
import { foreignContent } from './foreign_content.js';
import { videoLine } from './video_stream.js';

/** Colours that JPEG cannot hold. Names are ffmpeg's; null if the file does not state them. */
export interface HdrColours {
  readonly transfer: 'smpte2084' | 'arib-std-b67';
  readonly matrix: string | null;
  readonly primaries: string | null;
}

export interface VideoMetadata {
  /** `unknown` if ffmpeg cannot read the file; a `video` may also have a `problem`. */
  readonly kind: 'video' | 'image' | 'sound' | 'subtitles' | 'unknown';
  /** Length in seconds; null if the file states none, or only an estimate. */
  readonly duration: number | null;
  /** Whether ffmpeg can jump to a second of the video. */
  readonly seekable: boolean;
  /** Null for a video of ordinary colours (SDR). */
  readonly hdr: HdrColours | null;
  readonly interlaced: boolean;
  /** Codecs of the streams of sound, by ffmpeg's names. */
  readonly audio: readonly string[];
  /** The reason why no frames can be extracted, or null. */
  readonly problem: string | null;
}

const NO_VIDEO: VideoMetadata = {
  kind: 'unknown',
  duration: null,
  seekable: false,
  hdr: null,
  interlaced: false,
  audio: [],
  problem: null,
};

const PROBLEMS = {
  image: 'it is an image, not a video',
  sound: 'it has no images, only sound or other data',
  subtitles: 'it has subtitles only',
} as const;

/**
 * Asks ffmpeg for the metadata of a file. It does not use ffprobe, which is not installed wherever ffmpeg is. Throws UserError
 * without ffmpeg, or the reason of the abort.
 */
export async function probeVideo(path: string, signal: AbortSignal): Promise<VideoMetadata> {
  if (mayBeAnimated(path) && !(await isAnimated(path)))
    return { ...NO_VIDEO, kind: 'image', problem: PROBLEMS.image };
  const metadata = parseMetadata(await describeFile(path, signal));
  if (metadata.kind !== 'unknown') return metadata;
  return { ...metadata, problem: contentProblem(path) ?? metadata.problem };
}

/** Describes a file that is not a video; null if its first bytes say nothing or cannot be read. */
function contentProblem(path: string): string | null {
  try {
    // The bytes of a pipe or a device cannot be read a second time.
    if (!statSync(path).isFile()) return null;
    const start = readStart(path);
    return start.length === 0 ? null : foreignContent(start, 'video');
  } catch {
    return null;
  }
}

/** The metadata in the output of `ffmpeg -i`. */
export function parseMetadata(lines: readonly string[]): VideoMetadata {
  const streams = lines.filter((line) => /^\s*Stream #.*: /.test(line));
  const video: string | undefined = lines[videoLine(lines)];
  const format = lines.map((line) => /^Input #0, (.*), from /.exec(line)?.[1]).find(Boolean) ?? '';
  if (video === undefined) {
    const kind = kindWithoutVideo(streams);
    return { ...NO_VIDEO, kind, problem: kind === 'unknown' ? ffmpegError(lines) : PROBLEMS[kind] };
  }
  if (/: Video: webp, none/.test(video)) {
    const problem =
      'it is an animated or damaged WebP, which this ffmpeg cannot read; convert it to a GIF or an MP4 first';
    return { ...NO_VIDEO, kind: 'video', problem };
  }
  if (format === 'tty') return { ...NO_VIDEO, problem: 'it is a text, not a video' };
  if (isImageFormat(format)) return { ...NO_VIDEO, kind: 'image', problem: PROBLEMS.image };
  const stated = lines.map((line) => DURATION.exec(line)).find(Boolean);
  return {
    kind: 'video',
    duration: stated && isReliable(format, lines) ? secondsOf(stated) : null,
    seekable: stated !== undefined,
    hdr: hdrOf(video),
    interlaced: /\b(?:top|bottom) (?:coded )?first\b/.test(video),
    audio: streams.flatMap((line) => /: Audio: (\w+)/.exec(line)?.[1] ?? []),
    problem: null,
  };
}

function kindWithoutVideo(streams: readonly string[]): 'sound' | 'subtitles' | 'unknown' {
  if (streams.length === 0) return 'unknown';
  return streams.every((line) => line.includes(': Subtitle: ')) ? 'subtitles' : 'sound';
}

/** Whether ffmpeg's name of a format stands for single images. */
function isImageFormat(format: string): boolean {
  return /_pipe$|^image2$|^ico$/.test(format);
}

const DURATION = /^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)(?:, start: (-?\d+(?:\.\d+)?))?/;

/** Formats without a stated length: ffmpeg subtracts the first time stamp from the last, which may be unrelated. */
const WITHOUT_LENGTH = new Set(['mpeg', 'mpegts']);

/** Largest start, in seconds, that does not matter: some programs count the length from 0, others from the first frame. */
const MAX_START_SECONDS = 1;

function isReliable(format: string, lines: readonly string[]): boolean {
  return (
    !WITHOUT_LENGTH.has(format) && !lines.some((line) => line.includes('Estimating duration from bitrate'))
  );
}

function secondsOf([, hours, minutes, seconds, start]: RegExpExecArray): number | null {
  if (Math.abs(Number(start ?? 0)) >= MAX_START_SECONDS) return null;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** The colours in text such as `yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive)`. */
function hdrOf(stream: string): HdrColours | null {
  const match = /([\w-]+)\/([\w-]+)\/(smpte2084|arib-std-b67)\b/.exec(stream);
  if (!match) return null;
  const known = (name: string) => (/^(?:unknown|reserved)$/.test(name) ? null : name);
  const transfer = match[3] as HdrColours['transfer'];
  return { transfer, matrix: known(match[1]), primaries: known(match[2]) };
}
