/** @file `stmixer data prepare`: from a folder of videos to frames and frame lists. */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { StopSignals } from '../../cli/process/signals.js';
import { FIRST_SECOND, LAST_SECOND, SECOND_OF_FRAME_0 } from '../../data/datasets/ava_annotations.js';
import { machineProbe } from '../../engine/probe.js';
import { usableProcessors } from '../../engine/threads.js';
import { FolderLock } from '../../files/folder_lock.js';
import { makeOutputFolder } from '../../files/output_paths.js';
import { requireFfmpeg } from '../../media/ffmpeg.js';
import { type ExtractionSettings, missingHdrFilters, washedOut } from '../../media/frame_extraction.js';
import { inParallel } from '../../util/in_parallel.js';
import { count, countOf, Progress } from '../../util/progress.js';
import { shellWord } from '../../util/text.js';
import { extractFrames, noteOfDone, TooShortError, VideoError } from './prepared_video.js';
import { ADVICE_FOR_START, askAbout, type Failures, type Pending, probeAll } from './probe_videos.js';
import { chooseVideos, findCandidates, LIST_OF_ALL, type VideoFile } from './videos.js';
import { writeFrameList } from './write_frame_list.js';

export interface PrepareOptions extends ExtractionSettings {
  readonly videos: string;
  readonly out: string;
  /** How many videos at a time. */
  readonly jobs: number;
}

/** What is known and done so far. */
interface Work {
  readonly frames: Map<VideoFile, number>;
  readonly failures: Failures;
  /** Videos without pictures after --start; they are among the failures, too. */
  readonly tooShort: Set<VideoFile>;
  readonly abort: AbortController;
}

const DATA_EXIT_CODE = 3;

/** Extracts frames and writes lists, saying what it does; returns the exit code. Throws UserError. */
export async function prepare(options: PrepareOptions): Promise<number> {
  const frameFolder = join(options.out, 'frames');
  const candidates = findCandidates(options.videos, [frameFolder, join(options.out, 'frame_lists')]);
  makeOutputFolder(options.out, '--out');
  await requireFfmpeg();
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  const stop = new StopSignals((signal) => {
    abort.abort(signal);
    return signal;
  });
  const work: Work = { frames: new Map(), failures: new Map(), tooShort: new Set(), abort };
  let videos: readonly VideoFile[] = [];
  let lock: FolderLock | null = null;
  try {
    lock = await FolderLock.acquire(options.out, { command: 'data prepare', signal: stop.signal });
    if (!lock) return stop.exitCode;
    videos = chooseVideos(candidates, await askAbout(candidates.unknown, frameFolder, options.jobs, abort));
    await noteDone(videos, frameFolder, options, work);
    say(`${countOf(videos.length, 'video')} in ${options.videos}${alreadyDone(work.frames.size)}`);
    say(...candidates.passedOver.lines());
    const left = videos.filter((video) => !work.frames.has(video));
    await extractAll(await probeAll(left, options, work), frameFolder, options, work);
    return finish(videos, options, work);
  } catch (error) {
    if (!stop.received) throw error;
    say(
      `stopped; ${countOf(work.frames.size, 'video')} of ${videos.length} done. The same command goes on from here`,
    );
    return stop.exitCode;
  } finally {
    lock?.release();
    stop.close();
  }
}

/** Finds what an earlier command did. Throws DataError where its frames do not go together with those of this one. */
async function noteDone(
  videos: readonly VideoFile[],
  frameFolder: string,
  options: PrepareOptions,
  { frames, abort }: Work,
): Promise<void> {
  const washedOut = new Map<VideoFile, number>();
  for (const video of videos) {
    const done = noteOfDone(frameFolder, video, options);
    if (done) (done.washedOut ? washedOut : frames).set(video, done.frames);
  }
  // With another ffmpeg they can be had in the right colours.
  if (washedOut.size === 0 || (await missingHdrFilters(abort.signal)).length === 0) return;
  for (const [video, number] of washedOut) frames.set(video, number);
}

/** Writes the lists and says what failed; returns the exit code. */
function finish(
  videos: readonly VideoFile[],
  options: PrepareOptions,
  { frames, failures, tooShort }: Work,
): number {
  for (const video of videos) {
    if (failures.has(video)) process.stderr.write(`stmixer: ${video.path}: ${failures.get(video)}\n`);
  }
  if (frames.size > 0) say(...writeLists(videos, frames, options));
  if (failures.size === 0) return 0;
  const hint = frames.size === 0 && tooShort.size > 0 ? `. ${ADVICE_FOR_START}` : '';
  process.stderr.write(
    `stmixer: ${failures.size} of ${countOf(videos.length, 'video')} failed (named above) and are in no list; the ` +
      `same command tries them again${hint}\n`,
  );
  return DATA_EXIT_CODE;
}

function say(...lines: string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function alreadyDone(videos: number): string {
  return videos === 0 ? '' : `, ${count(videos)} done before`;
}

/** Extracts the pending videos and adds each to the frames or the failures. */
async function extractAll(
  pending: readonly Pending[],
  frameFolder: string,
  options: PrepareOptions,
  { frames, failures, tooShort, abort }: Work,
): Promise<void> {
  if (pending.length === 0) return;
  const mapHdr = await canMapHdr(pending, abort.signal);
  const progress = new ExtractionProgress(pending);
  const processors = usableProcessors(machineProbe()).threads;
  const threads = Math.max(1, Math.floor(processors / Math.min(options.jobs, pending.length)));
  const { signal } = abort;
  try {
    await inParallel(pending, { jobs: options.jobs, abort }, async (one) => {
      const { video, facts } = one;
      try {
        const onFrames = (n: number) => progress.update(one, n);
        const job = { facts, mapHdr, threads, signal, onFrames };
        const result = await extractFrames(frameFolder, video, options, job);
        frames.set(video, result.frames);
        progress.log(
          `${video.name}: ${countOf(result.frames, 'frame')}${doubts(result, one.expectedFrames, options)}`,
        );
      } catch (error) {
        if (!(error instanceof VideoError)) throw error;
        failures.set(video, error.message);
        if (error instanceof TooShortError) tooShort.add(video);
        progress.log(`${video.name}: failed`);
      }
      progress.finish(one);
    });
  } finally {
    progress.close();
  }
}

/** Whether HDR becomes SDR; says which videos suffer where it does not. */
async function canMapHdr(pending: readonly Pending[], signal: AbortSignal): Promise<boolean> {
  const hdr = pending.filter(({ facts }) => facts.hdr !== null).map(({ video }) => video.path);
  if (hdr.length === 0) return false;
  const missing = await missingHdrFilters(signal);
  if (missing.length > 0) {
    say(
      `warning: ${washedOut(hdr, missing)}. With an ffmpeg that has these filters, the same command makes their frames again`,
    );
  }
  return missing.length === 0;
}

/** The progress in frames if all lengths are known, else in videos. */
class ExtractionProgress {
  readonly #progress: Progress;
  readonly #inFrames: boolean;
  readonly #running = new Map<Pending, number>();
  #finished = 0;

  constructor(pending: readonly Pending[]) {
    this.#inFrames = pending.every(({ expectedFrames }) => expectedFrames !== null);
    const total = pending.reduce((sum, one) => sum + this.#amount(one), 0);
    this.#progress = new Progress(total, this.#inFrames ? 'frames' : 'videos');
  }

  update(one: Pending, frames: number): void {
    if (this.#inFrames) this.#running.set(one, frames);
    this.#show();
  }

  finish(one: Pending): void {
    this.#running.delete(one);
    this.#finished += this.#amount(one);
    this.#show();
  }

  log(line: string): void {
    this.#progress.log(line);
  }

  close(): void {
    this.#progress.close();
  }

  #show(): void {
    this.#progress.update([...this.#running.values()].reduce((sum, n) => sum + n, this.#finished));
  }

  #amount({ expectedFrames }: Pending): number {
    return this.#inFrames ? expectedFrames! : 1;
  }
}

/** What is odd about frames that were extracted all the same. */
function doubts(
  { frames, complaint }: { frames: number; complaint: string | null },
  expected: number | null,
  { fps }: ExtractionSettings,
): string {
  const missing = expected === null ? 0 : expected - frames;
  const early =
    missing > fps ? `; warning: ${Math.round(missing / fps)} s fewer than the file says it has` : '';
  return `${early}${complaint ? `; warning: ffmpeg says: ${complaint}` : ''}`;
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
  const settings = [`DATA.PATH_TO_DATA_DIR ${shellWord(out)}`, `AVA.FPS ${fps}`];
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
