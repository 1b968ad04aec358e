/** @file ffmpeg: whether it is there, what it says about a video, and the command that extracts frames. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../errors.js';

/** What the frames of a data set have in common. */
export interface ExtractionSettings {
  /** Seconds of the video. */
  readonly start: number;
  readonly end: number;
  readonly fps: number;
  readonly shortSide: number;
}

/** Throws UserError where there is no ffmpeg that runs. */
export async function requireFfmpeg(): Promise<void> {
  const { code, lines } = await runFfmpeg(['-version']);
  if (code === 0) return;
  throw new UserError(`ffmpeg is on the PATH but does not run: ${lines.at(-1) ?? `exit code ${code}`}`);
}

export interface VideoFacts {
  /** Seconds; null where the file does not tell. */
  readonly duration: number | null;
  /** Why no frames can be had from it, or null. */
  readonly problem: string | null;
}

/** What the header of a video says. ffprobe is not asked: it is not everywhere where ffmpeg is. */
export async function probeVideo(path: string, signal: AbortSignal): Promise<VideoFacts> {
  const { lines } = await runFfmpeg(['-hide_banner', '-nostdin', '-i', fileUrl(path)], { signal });
  const match = lines.map((line) => /^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(line)).find(Boolean);
  const duration = match ? Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]) : null;
  const streams = lines.filter((line) => /^\s*Stream #.*: /.test(line));
  const hasVideo = streams.some((line) => line.includes(': Video: ') && !line.includes('(attached pic)'));
  if (hasVideo) return { duration, problem: null };
  const problem = streams.length > 0 ? 'it has no pictures, only sound or other data' : lastWords(lines);
  return { duration, problem };
}

/** The arguments that write `<name>_000001.jpg` … into the working folder. */
export function extractionArguments(
  path: string,
  name: string,
  { start, end, fps, shortSide }: ExtractionSettings,
  threads: number,
): string[] {
  // Pictures that are small enough already keep their size; -2 keeps the proportions and gives an even number.
  const side = (own: string, other: string) =>
    `'if(lte(min(iw,ih),${shortSide}),${own},if(lte(${own},${other}),${shortSide},-2))'`;
  // A first picture that comes late is shown from the start on, or every later frame would be early.
  const filters = `fps=fps=${fps}:start_time=0,scale=w=${side('iw', 'ih')}:h=${side('ih', 'iw')}`;
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-progress', 'pipe:1'],
    ...['-threads', String(threads), '-ss', String(start), '-i', fileUrl(path), '-map', '0:V:0'],
    ...['-vf', filters, '-frames:v', String((end - start) * fps)],
    // 2 is the best that ffmpeg gives without further flags, also for the 1 of AVA's usual instructions.
    ...['-q:v', '2', '-f', 'image2', `./${name.replaceAll('%', '%%')}_%06d.jpg`],
  ];
}

/** A path that cannot be taken for a flag, a protocol or a pattern. */
function fileUrl(path: string): string {
  return `file:${resolve(path)}`;
}

export interface FfmpegRun {
  readonly code: number | null;
  /** Standard error, the newest lines. */
  readonly lines: readonly string[];
}

const KEPT_LINES = 200;
const PATIENCE_MS = 3000;
/** What ffmpeg exits with after a signal. */
const STOPPED = 255;

const running = new Set<ChildProcess>();
// For exits that do not wait, such as that of a second Ctrl-C.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Runs ffmpeg to its end; `onFrames` is told how many frames are written. An abort stops it and is thrown as the
 * signal's reason.
 */
export async function runFfmpeg(
  args: readonly string[],
  options: { cwd?: string; signal?: AbortSignal; onFrames?(frames: number): void } = {},
): Promise<FfmpegRun> {
  const { signal } = options;
  signal?.throwIfAborted();
  const child = spawn('ffmpeg', args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let killLater: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill('SIGTERM');
    killLater = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  };
  running.add(child);
  signal?.addEventListener('abort', stop);
  try {
    const run = await finished(child, options.onFrames);
    // Ctrl-C in a terminal reaches ffmpeg too, and perhaps first.
    if (signal && (run.code === null || run.code === STOPPED)) await delay(100);
    signal?.throwIfAborted();
    return run;
  } finally {
    clearTimeout(killLater);
    running.delete(child);
    signal?.removeEventListener('abort', stop);
  }
}

function finished(child: ChildProcess, onFrames?: (frames: number) => void): Promise<FfmpegRun> {
  const lines: string[] = [];
  forEachLine(child.stderr!, (line) => {
    if (line.trim() === '' || /^\s*Last message repeated/.test(line)) return;
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
  });
  forEachLine(child.stdout!, (line) => {
    const frames = /^frame=\s*(\d+)/.exec(line);
    if (frames) onFrames?.(Number(frames[1]));
  });
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => reject(cannotStart(error)));
    child.on('close', (code, killedBy) => {
      if (killedBy) lines.push(`ffmpeg was ended by ${killedBy}`);
      resolve({ code, lines });
    });
  });
}

function forEachLine(stream: NodeJS.ReadableStream, use: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/\r?\n|\r/);
    rest = lines.pop()!;
    lines.forEach(use);
  });
  stream.on('end', () => {
    if (rest) use(rest);
  });
}

function cannotStart(error: NodeJS.ErrnoException): UserError {
  const why =
    error.code === 'ENOENT'
      ? 'ffmpeg, which takes the frames out of the videos, is not on the PATH. Get it with\n' +
        '  apt-get install ffmpeg                  Debian, Ubuntu\n' +
        '  brew install ffmpeg                     macOS\n' +
        '  winget install ffmpeg                   Windows\n' +
        '  conda install -c conda-forge ffmpeg     anywhere, without administrator rights\n' +
        'or from https://ffmpeg.org/download.html'
      : `ffmpeg cannot be started: ${error.message}`;
  return new UserError(why, { cause: error });
}

/** Closing lines that only repeat that something went wrong. */
const CLOSING = /^(At least one output file must|Error opening input file|Conversion failed|Exiting with)/;

/** The line that says what went wrong, without the path and without the address of the part of ffmpeg that says it. */
export function lastWords(lines: readonly string[]): string {
  const telling = lines.map((line) => line.trim()).filter((line) => !CLOSING.test(line));
  // "file:…: Invalid data found" says less than the line of the demuxer before it.
  if (telling.at(-1)?.startsWith('file:') && telling.at(-2)?.startsWith('[')) telling.pop();
  const last = telling.at(-1) ?? 'ffmpeg does not say why';
  return last.replace(/\[[^\]]* @ [^\]]*\] */g, '').replace(/file:\S*\//g, '');
}

/** Whether a run failed because nothing more can be written. */
export function isDiskFull(lines: readonly string[]): boolean {
  return lines.some((line) => /No space left on device|Disk quota exceeded/i.test(line));
}
