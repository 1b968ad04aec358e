/** @file Running ffmpeg: its output, its error messages, and its end with this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../errors.js';

/** Throws UserError unless ffmpeg can be run. */
export async function requireFfmpeg(): Promise<void> {
  const { code, lines } = await runFfmpeg(['-version']);
  if (code === 0) return;
  throw new UserError(`ffmpeg is on the PATH but does not run: ${lines.at(-1) ?? `exit code ${code}`}`);
}

/** A path that cannot be taken for a flag, a protocol or a pattern. */
export function fileUrl(path: string): string {
  return `file:${resolve(path)}`;
}

export interface FfmpegRun {
  readonly code: number | null;
  /** The last lines of standard error. */
  readonly lines: readonly string[];
}

/** What ffmpeg says about a file and its streams. Throws UserError without ffmpeg, or the reason of the abort. */
export async function describeFile(path: string, signal?: AbortSignal): Promise<readonly string[]> {
  return (await runFfmpeg(['-hide_banner', '-nostdin', '-i', fileUrl(path)], { signal })).lines;
}

const KEPT_LINES = 200;
/** Time that ffmpeg has to end after SIGTERM. */
const PATIENCE_MS = 3000;
/** Exit code of ffmpeg after a signal. */
const STOPPED = 255;

const running = new Set<ChildProcess>();
// Covers exits that do not wait, such as the one after a second Ctrl-C.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Runs ffmpeg to its end; `onFrames` gets the number of frames written so far. After an abort it stops ffmpeg and throws
 * the signal's reason.
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
    // Ctrl-C in a terminal also reaches ffmpeg, perhaps before us.
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
      ? 'ffmpeg, which extracts the frames of videos, is not on the PATH. Install it with\n' +
        '  apt-get install ffmpeg                  Debian, Ubuntu\n' +
        '  brew install ffmpeg                     macOS\n' +
        '  winget install ffmpeg                   Windows\n' +
        '  conda install -c conda-forge ffmpeg     anywhere, without administrator rights\n' +
        'or from https://ffmpeg.org/download.html'
      : `ffmpeg cannot be started: ${error.message}`;
  return new UserError(why, { cause: error });
}

/** Closing lines that only say that something went wrong. */
const CLOSING = /^(At least one output file must|Error opening input file|Conversion failed|Exiting with)/;

/** The line of ffmpeg's output that says what went wrong, without paths and addresses. */
export function ffmpegError(lines: readonly string[]): string {
  const specific = lines.map((line) => line.trim()).filter((line) => !CLOSING.test(line));
  // "file:…: Invalid data found" says less than the line of the demuxer before it.
  if (specific.at(-1)?.startsWith('file:') && specific.at(-2)?.startsWith('[')) specific.pop();
  const last = specific.at(-1) ?? 'ffmpeg does not say why';
  return last.replace(/\[[^\]]* @ [^\]]*\] */g, '').replace(/file:\S*\//g, '');
}

/** Whether a run failed because the disk is full. */
export function isDiskFull(lines: readonly string[]): boolean {
  return lines.some((line) => /No space left on device|Disk quota exceeded/i.test(line));
}
