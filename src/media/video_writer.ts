/** @file Writing drawn frames as a video with ffmpeg. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { DataError } from '../errors.js';
import { ffmpegError, fileUrl } from './ffmpeg.js';

/** Encoders in order of preference: H.264 plays everywhere, but not every ffmpeg can write it. */
const ENCODERS = ['libx264', 'libopenh264', 'h264_videotoolbox', 'h264_mf', 'mpeg4'];

/** The best of the encoders that `ffmpeg -encoders` lists, or null. */
export function chooseEncoder(list: string): string | null {
  const names = new Set(list.split('\n').map((line) => /^\s*V[\w.]{5}\s+(\S+)/.exec(line)?.[1]));
  return ENCODERS.find((name) => names.has(name)) ?? null;
}

/** The best encoder of this machine's ffmpeg, or the reason why there is none. */
export async function findEncoder(): Promise<{ encoder: string } | { problem: string }> {
  try {
    const { stdout } = await promisify(execFile)('ffmpeg', ['-hide_banner', '-encoders']);
    const encoder = chooseEncoder(stdout);
    return encoder ? { encoder } : { problem: `ffmpeg has none of the encoders ${ENCODERS.join(', ')}` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { problem: code === 'ENOENT' ? 'ffmpeg is not on the PATH' : 'ffmpeg does not run' };
  }
}

/** The filter for the format yuv420p, which halves both sides for colours, so that they have to be even. */
export const EVEN_SIDES = 'pad=ceil(iw/2)*2:ceil(ih/2)*2';

/** The options of an encoder for a good quality. */
export function qualityArgs(encoder: string): string[] {
  return encoder === 'libx264' ? ['-preset', 'veryfast', '-crf', '20'] : ['-b:v', '4M'];
}

/** Writes RGB frames of one size into a video file. */
export class VideoWriter {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #messages = '';
  #failed = false;

  constructor(
    private readonly path: string,
    { encoder, fps, width, height }: { encoder: string; fps: number; width: number; height: number },
  ) {
    // With a process group of its own, ffmpeg does not receive Ctrl-C and can finish a playable file.
    this.#child = spawn(
      'ffmpeg',
      [
        ...['-hide_banner', '-loglevel', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24'],
        ...['-video_size', `${width}x${height}`, '-framerate', String(fps), '-i', 'pipe:0'],
        ...['-vf', EVEN_SIDES, '-c:v', encoder, ...qualityArgs(encoder), '-pix_fmt', 'yuv420p'],
        ...['-movflags', '+faststart', fileUrl(path)],
      ],
      { stdio: ['pipe', 'ignore', 'pipe'], detached: true },
    );
    this.#child.stderr!.setEncoding('utf8').on('data', (text) => {
      this.#messages += text;
    });
    // An ffmpeg that failed closes the pipe; its exit code and messages say more than this error.
    this.#child.stdin!.on('error', () => {
      this.#failed = true;
    });
    this.#ended = new Promise((done) => {
      this.#child.on('error', () => done(null));
      this.#child.on('close', done);
    });
  }

  async write(frame: Buffer): Promise<void> {
    const { stdin } = this.#child;
    if (this.#failed || stdin!.write(frame)) return;
    await Promise.race([once(stdin!, 'drain').catch(() => {}), this.#ended]);
  }

  /** Completes the file. Throws DataError with ffmpeg's message if that fails. */
  async close(): Promise<void> {
    this.#child.stdin!.end();
    const code = await this.#ended;
    if (code === 0) return;
    const lines = this.#messages.split('\n').filter((line) => line.trim() !== '');
    throw new DataError(`${this.path}: the video cannot be written: ${ffmpegError(lines)}`);
  }
}
