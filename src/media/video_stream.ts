/** @file The size and the frame rate of a video as a player shows it, from the output of ffmpeg. */
import { describeFile } from './ffmpeg.js';
import type { Size } from './image_header.js';

export interface VideoStream {
  /** Null if the file does not state it. */
  readonly size: Size | null;
  readonly fps: number | null;
}

/** Asks ffmpeg about a file. Throws UserError without ffmpeg, or the reason of the abort. */
export async function readVideoStream(path: string, signal?: AbortSignal): Promise<VideoStream> {
  return parseVideoStream(await describeFile(path, signal));
}

/** Index of the line about the video; -1 without a video. The cover of a sound file is none. */
export function videoLine(lines: readonly string[]): number {
  return lines.findIndex((line) => /^\s*Stream #.*: Video: /.test(line) && !line.includes('(attached pic)'));
}

/** The size and rate in the output of `ffmpeg -i`. */
export function parseVideoStream(lines: readonly string[]): VideoStream {
  const index = videoLine(lines);
  if (index < 0) return { size: null, fps: null };
  const line = lines[index];
  const rate = /, (\d+(?:\.\d+)?)(k?) fps\b/.exec(line);
  return {
    size: sizeOf(line, rotationAfter(lines, index)),
    fps: rate ? exactRate(Number(rate[1]) * (rate[2] === 'k' ? 1000 : 1)) : null,
  };
}

/** Players turn a video as its display matrix says, and widen pixels that are not square. */
function sizeOf(line: string, rotation: number): Size | null {
  const match = /, (\d{1,5})x(\d{1,5})(?: \[SAR (\d+):(\d+))?/.exec(line);
  if (!match) return null;
  const [width, height, a, b] = match.slice(1).map((text) => Number(text ?? 1));
  const shown = { width: a > 0 && b > 0 ? Math.round((width * a) / b) : width, height };
  return Math.abs(rotation) % 180 === 90 ? { width: shown.height, height: shown.width } : shown;
}

function rotationAfter(lines: readonly string[], index: number): number {
  for (const line of lines.slice(index + 1)) {
    if (/^\s*Stream #/.test(line)) return 0;
    const match = /rotation of (-?\d+(?:\.\d+)?) degrees/.exec(line) ?? /^\s*rotate\s*: (-?\d+)/.exec(line);
    if (match) return Math.round(Number(match[1]));
  }
  return 0;
}

/** ffmpeg rounds 30000/1001 to 29.97. */
function exactRate(rate: number): number {
  const ntsc = [24_000, 30_000, 60_000, 120_000].map((value) => value / 1001);
  return ntsc.find((exact) => Math.abs(exact - rate) < 0.006) ?? rate;
}
