/** @file What ffmpeg says about a file before it decodes it: kind, length, colours. */
import { statSync } from 'node:fs';
import { readStart } from '../data_tools/prepare/file_kinds.js';
import { fileUrl, lastWords, runFfmpeg } from './ffmpeg.js';
import { foreignContent } from './foreign_content.js';
import { isAnimated, isAnimatedPictureName } from './moving_pictures.js';

/** Colours beyond those of JPEG pictures. Names are ffmpeg's; null where the file does not tell. */
export interface HdrColours {
  readonly transfer: 'smpte2084' | 'arib-std-b67';
  readonly matrix: string | null;
  readonly primaries: string | null;
}

export interface VideoFacts {
  /** A video may have a `problem` all the same; `unknown` is what ffmpeg cannot read. */
  readonly kind: 'video' | 'picture' | 'sound' | 'subtitles' | 'unknown';
  /** Seconds, as the file states them; null for a file that states no length, or one that is only an estimate. */
  readonly duration: number | null;
  /** Whether ffmpeg can jump to a second of it. */
  readonly seekable: boolean;
  /** Null for a video of ordinary colours (SDR). */
  readonly hdr: HdrColours | null;
  readonly interlaced: boolean;
  /** The reason why no frames can be had from it, or null. */
  readonly problem: string | null;
}

const NO_VIDEO: VideoFacts = {
  kind: 'unknown',
  duration: null,
  seekable: false,
  hdr: null,
  interlaced: false,
  problem: null,
};

const PROBLEMS = {
  picture: 'it is a picture, not a video',
  sound: 'it has no pictures, only sound or other data',
  subtitles: 'it has subtitles only',
} as const;

/**
 * Asks ffmpeg about a file. ffprobe is not asked: it is not everywhere where ffmpeg is. Throws UserError without ffmpeg, or
 * the reason of the abort.
 */
export async function probeVideo(path: string, signal: AbortSignal): Promise<VideoFacts> {
  const moves = isAnimatedPictureName(path) ? await isAnimated(path) : true;
  if (!moves) return { ...NO_VIDEO, kind: 'picture', problem: PROBLEMS.picture };
  const { lines } = await runFfmpeg(['-hide_banner', '-nostdin', '-i', fileUrl(path)], { signal });
  const facts = factsOf(lines);
  return facts.kind === 'unknown' ? { ...facts, problem: contentProblem(path) ?? facts.problem } : facts;
}

/** Says what a file is that is no video at all; null where its first bytes do not tell, or cannot be read. */
function contentProblem(path: string): string | null {
  try {
    // A pipe or a device has no bytes that are there a second time.
    if (!statSync(path).isFile()) return null;
    const start = readStart(path);
    return start.length === 0 ? null : foreignContent(start, 'video');
  } catch {
    return null;
  }
}

/** The facts in what `ffmpeg -i` prints. */
export function factsOf(lines: readonly string[]): VideoFacts {
  const streams = lines.filter((line) => /^\s*Stream #.*: /.test(line));
  const video = streams.find((line) => line.includes(': Video: ') && !line.includes('(attached pic)'));
  const format = lines.map((line) => /^Input #0, (.*), from /.exec(line)?.[1]).find(Boolean) ?? '';
  if (video === undefined) {
    const kind = kindWithoutVideo(streams);
    return { ...NO_VIDEO, kind, problem: kind === 'unknown' ? lastWords(lines) : PROBLEMS[kind] };
  }
  if (/: Video: webp, none/.test(video)) {
    const problem =
      'it is an animated or damaged WebP, which this ffmpeg cannot read; convert it to a GIF or an MP4 first';
    return { ...NO_VIDEO, kind: 'video', problem };
  }
  if (format === 'tty') return { ...NO_VIDEO, problem: 'it is a text, not a video' };
  if (isStill(format)) return { ...NO_VIDEO, kind: 'picture', problem: PROBLEMS.picture };
  const stated = lines.map((line) => DURATION.exec(line)).find(Boolean);
  return {
    kind: 'video',
    duration: stated && isStated(format, lines) ? lengthOf(stated) : null,
    seekable: stated !== undefined,
    hdr: hdrOf(video),
    interlaced: /\b(?:top|bottom) (?:coded )?first\b/.test(video),
    problem: null,
  };
}

function kindWithoutVideo(streams: readonly string[]): 'sound' | 'subtitles' | 'unknown' {
  if (streams.length === 0) return 'unknown';
  return streams.every((line) => line.includes(': Subtitle: ')) ? 'subtitles' : 'sound';
}

/** Whether the format is one of single pictures. */
function isStill(format: string): boolean {
  return /_pipe$|^image2$|^ico$/.test(format);
}

const DURATION = /^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)(?:, start: (-?\d+(?:\.\d+)?))?/;

/** Formats without a length: ffmpeg compares the first and the last time stamp, which need not belong together. */
const WITHOUT_LENGTH = new Set(['mpeg', 'mpegts']);

/** Some programs count the length from 0, others from the first picture; up to this start it makes no difference. */
const MAX_START_SECONDS = 1;

function isStated(format: string, lines: readonly string[]): boolean {
  return (
    !WITHOUT_LENGTH.has(format) && !lines.some((line) => line.includes('Estimating duration from bitrate'))
  );
}

function lengthOf([, hours, minutes, seconds, start]: RegExpExecArray): number | null {
  if (Math.abs(Number(start ?? 0)) >= MAX_START_SECONDS) return null;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** The colours in e.g. `yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive)`. */
function hdrOf(stream: string): HdrColours | null {
  const match = /([\w-]+)\/([\w-]+)\/(smpte2084|arib-std-b67)\b/.exec(stream);
  if (!match) return null;
  const known = (name: string) => (/^(?:unknown|reserved)$/.test(name) ? null : name);
  const transfer = match[3] as HdrColours['transfer'];
  return { transfer, matrix: known(match[1]), primaries: known(match[2]) };
}
