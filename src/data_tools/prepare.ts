/** @file `stmixer data prepare`: from a folder of videos to frames and frame lists. */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { FIRST_SECOND, LAST_SECOND, SECOND_OF_FRAME_0 } from '../data/ava_annotations.js';
import { machineProbe } from '../engine/probe.js';
import { usableProcessors } from '../engine/threads.js';
import { DataError } from '../errors.js';
import { FolderLock } from '../util/folder_lock.js';
import { makeOutputFolder } from '../util/output_paths.js';
import { count, countOf, Progress } from '../util/progress.js';
import { StopSignals } from '../util/signals.js';
import { type ExtractionSettings, probeVideo, requireFfmpeg } from './ffmpeg.js';
import { extractFrames, framesDone, VideoError } from './prepared_video.js';
import { findVideos, LIST_OF_ALL, type VideoFile } from './videos.js';
import { writeFrameList } from './write_frame_list.js';

export interface PrepareOptions extends ExtractionSettings {
  readonly videos: string;
  readonly out: string;
  /** How many videos at a time. */
  readonly jobs: number;
}

/** The videos that failed, each with the reason. */
type Failures = Map<VideoFile, string>;

/** A video that is still to be done. */
interface Pending {
  readonly video: VideoFile;
  readonly expectedFrames: number;
}

const DATA_EXIT_CODE = 3;

/** Extracts frames and writes lists, saying what it does; returns the exit code. Throws UserError. */
export async function prepare(options: PrepareOptions): Promise<number> {
  const videos = findVideos(options.videos);
  makeOutputFolder(options.out, '--out');
  await requireFfmpeg();
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  const stop = new StopSignals((signal) => abort.abort(signal));
  const frameFolder = join(options.out, 'frames');
  const frames = new Map<VideoFile, number>();
  let lock: FolderLock | null = null;
  try {
    lock = await FolderLock.acquire(options.out, { command: 'data prepare', arrival: stop.arrival });
    if (!lock) return stop.exitCode;
    for (const video of videos) {
      const done = framesDone(frameFolder, video, options);
      if (done !== null) frames.set(video, done);
    }
    say(`${countOf(videos.length, 'video')} in ${options.videos}${alreadyDone(frames.size)}`);
    const left = videos.filter((video) => !frames.has(video));
    const failures: Failures = new Map();
    const pending = await probeAll(left, options, failures, abort);
    await extractAll(pending, frameFolder, options, { frames, failures, abort });
    for (const video of videos) {
      if (failures.has(video)) process.stderr.write(`stmixer: ${video.path}: ${failures.get(video)}\n`);
    }
    if (frames.size > 0) say(...writeLists(videos, frames, options));
    if (failures.size === 0) return 0;
    process.stderr.write(
      `stmixer: ${failures.size} of ${countOf(videos.length, 'video')} failed (named above) and are in no list; the ` +
        'same command tries them again\n',
    );
    return DATA_EXIT_CODE;
  } catch (error) {
    if (!stop.received) throw error;
    say(
      `stopped; ${countOf(frames.size, 'video')} of ${videos.length} done. The same command goes on from here`,
    );
    return stop.exitCode;
  } finally {
    lock?.release();
    stop.close();
  }
}

function say(...lines: string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function alreadyDone(videos: number): string {
  return videos === 0 ? '' : `, ${count(videos)} done before`;
}

/** Asks each video for its length. Those without usable pictures become failures; if none has any, that is an error. */
async function probeAll(
  videos: readonly VideoFile[],
  options: PrepareOptions,
  failures: Failures,
  abort: AbortController,
): Promise<Pending[]> {
  const { start, end, fps } = options;
  const found = new Map<VideoFile, Pending>();
  const short = new Map<VideoFile, number>();
  const beyond: VideoFile[] = [];
  await inParallel(videos, options.jobs, abort, async (video) => {
    const { duration, problem } = await probeVideo(video.path, abort.signal);
    if (problem !== null) failures.set(video, problem);
    else if (duration !== null && duration <= start) short.set(video, duration);
    else {
      const seconds = Math.min(end, duration ?? end) - start;
      found.set(video, { video, expectedFrames: Math.max(1, Math.round(seconds * fps)) });
      if (duration !== null && duration > end + 1) beyond.push(video);
    }
  });
  const tooShort = (duration: number) => `it ends after ${duration.toFixed(1)} s, before --start ${start}`;
  if (short.size > 0 && found.size === 0) {
    const first = videos.find((video) => short.has(video))!;
    throw new DataError(
      `${first.path}: ${tooShort(short.get(first)!)}${short.size > 1 ? `, as do the other ${short.size - 1}` : ''}; the ` +
        `default, seconds 900 to 1800, is for AVA's movies. --start 0 takes videos from their beginning, and second ` +
        '900 of the annotations is then second 0 of the video',
    );
  }
  for (const [video, duration] of short) failures.set(video, tooShort(duration));
  // AVA's movies all go on; with other videos it may be forgotten.
  if (start !== SECOND_OF_FRAME_0 && beyond.length > 0) {
    say(
      `note: ${countOf(beyond.length, 'video goes', 'videos go')} on after second ${end} (--end; first: ` +
        `${beyond[0].path}), and what follows is left out. Annotations reach ${LAST_SECOND - SECOND_OF_FRAME_0} s after --start; cut ` +
        'longer videos into several files',
    );
  }
  return videos.flatMap((video) => found.get(video) ?? []);
}

/** Extracts the pending videos and adds each to `frames` or `failures`. */
async function extractAll(
  pending: readonly Pending[],
  frameFolder: string,
  options: PrepareOptions,
  { frames, failures, abort }: { frames: Map<VideoFile, number>; failures: Failures; abort: AbortController },
): Promise<void> {
  if (pending.length === 0) return;
  const expected = pending.reduce((sum, { expectedFrames }) => sum + expectedFrames, 0);
  const progress = new Progress(expected, 'frames');
  const threads = Math.max(
    1,
    Math.floor(usableProcessors(machineProbe()).threads / Math.min(options.jobs, pending.length)),
  );
  const running = new Map<VideoFile, number>();
  let finished = 0;
  const update = () => progress.update([...running.values()].reduce((sum, n) => sum + n, finished));
  try {
    await inParallel(pending, options.jobs, abort, async ({ video, expectedFrames }) => {
      try {
        const onFrames = (n: number) => {
          running.set(video, n);
          update();
        };
        const result = await extractFrames(frameFolder, video, options, {
          threads,
          signal: abort.signal,
          onFrames,
        });
        frames.set(video, result.frames);
        progress.log(
          `${video.name}: ${countOf(result.frames, 'frame')}${doubts(result, expectedFrames, options)}`,
        );
      } catch (error) {
        if (!(error instanceof VideoError)) throw error;
        failures.set(video, error.message);
        progress.log(`${video.name}: failed`);
      }
      running.delete(video);
      finished += expectedFrames;
      update();
    });
  } finally {
    progress.close();
  }
}

/** What is odd about frames that were extracted all the same. */
function doubts(
  { frames, complaint }: { frames: number; complaint: string | null },
  expected: number,
  { fps }: ExtractionSettings,
): string {
  const missing = expected - frames;
  const early =
    missing > fps ? `; warning: ${Math.round(missing / fps)} s fewer than the file says it has` : '';
  return `${early}${complaint ? `; warning: ffmpeg says: ${complaint}` : ''}`;
}

/** Works on the items, `jobs` at a time; the first error stops the others, and is thrown when they have ended. */
async function inParallel<T>(
  items: readonly T[],
  jobs: number,
  abort: AbortController,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const errors: unknown[] = [];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && errors.length === 0; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
        abort.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
  if (errors.length > 0) throw errors[0];
}

/** Writes the lists of the videos that have frames; returns what there is to say about them. */
function writeLists(
  videos: readonly VideoFile[],
  frames: ReadonlyMap<VideoFile, number>,
  { out, start, fps }: PrepareOptions,
): string[] {
  const names = [...new Set(videos.map(({ list }) => list))];
  const lines = names.map((list) => {
    const listed = videos.flatMap((video) =>
      video.list === list && frames.has(video) ? [{ name: video.name, frames: frames.get(video)! }] : [],
    );
    const file = join(out, 'frame_lists', `${list}.csv`);
    writeFrameList(file, listed);
    const total = listed.reduce((sum, video) => sum + video.frames, 0);
    return `${file}: ${countOf(listed.length, 'video')}, ${countOf(total, 'frame')}`;
  });
  return [...lines, '', ...nextSteps(names, { out, start, fps })];
}

function nextSteps(
  lists: readonly string[],
  { out, start, fps }: { out: string; start: number; fps: number },
): string[] {
  const settings = [`DATA.PATH_TO_DATA_DIR ${/^[\w./-]+$/.test(out) ? out : `'${out}'`}`, `AVA.FPS ${fps}`];
  const list = (key: string, names: readonly string[]) => {
    const name = names.find((candidate) => lists.includes(candidate));
    if (name !== undefined && name !== names[0]) settings.push(`${key} "['${name}.csv']"`);
  };
  list('AVA.TRAIN_LISTS', ['train', 'trainval', LIST_OF_ALL]);
  list('AVA.TEST_LISTS', ['val', 'test', LIST_OF_ALL]);
  const clock =
    start === SECOND_OF_FRAME_0
      ? 'As in AVA, seconds of the annotations are seconds of the video.'
      : `Second ${SECOND_OF_FRAME_0} of the annotations is second ${start} of the video (--start): what happens at second t is annotated ` +
        `at t + ${SECOND_OF_FRAME_0 - start}.`;
  return [
    `Settings for this data: ${settings.join(' ')}`,
    `${clock} Seconds ${FIRST_SECOND} to ${LAST_SECOND} of the annotations are used.`,
    'With annotations in place, `stmixer data check` says whether everything fits.',
  ];
}
