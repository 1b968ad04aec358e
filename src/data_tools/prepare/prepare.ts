/** @file `stmixer data prepare`: makes frames and frame lists from a folder of videos. */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import {
  AVA_FIRST_SECOND,
  AVA_LAST_SECOND,
  readableTime,
  type TimeBase,
  timeBaseOf,
} from '../../data/time.js';
import { machineProbe } from '../../engine/probe.js';
import { usableProcessors } from '../../engine/threads.js';
import { commandLock, FolderLock } from '../../files/folder_lock.js';
import { makeOutputFolder } from '../../files/output_paths.js';
import { requireFfmpeg } from '../../media/ffmpeg.js';
import { type ExtractionSettings, missingHdrFilters, washedOut } from '../../media/frame_extraction.js';
import { inParallel } from '../../util/in_parallel.js';
import { type Reporter, SILENT } from '../../util/log.js';
import { count, countOf, shellWord } from '../../util/text.js';
import { type TemplateList, writeTemplates } from '../annotation_folder.js';
import { ExtractionProgress } from './extraction_progress.js';
import {
  type Extracted,
  extractFrames,
  noteOfPrepared,
  TooShortError,
  VideoError,
  withPaths,
} from './prepared_video.js';
import { ADVICE_FOR_START, type Failures, type Pending, probeAll, probeUnknown } from './probe_videos.js';
import { chooseVideos, findCandidates, LIST_OF_ALL, type VideoFile } from './videos.js';
import { writeFrameList } from './write_frame_list.js';

export interface PrepareOptions extends Partial<ExtractionSettings> {
  /** Folder of the videos. */
  readonly videos: string;
  readonly out: string;
  /** Number of videos at a time; one per processor by default. */
  readonly jobs?: number;
  /** Stops the work; running the same command again continues it. */
  readonly signal?: AbortSignal;
  readonly report?: Reporter;
}

export interface PrepareResult {
  /** Number of videos in the folder. */
  readonly videos: number;
  /** Number of videos whose frames are complete. */
  readonly done: number;
  readonly failures: readonly { readonly path: string; readonly reason: string }[];
  /** Advice about the failures, or null. */
  readonly advice: string | null;
  /** Whether the signal stopped the work. */
  readonly stopped: boolean;
}

/** AVA annotates the quarter of an hour after second 900. */
const DEFAULTS = { start: 900, fps: 30, shortSide: 340 };
const DEFAULT_LENGTH = 900;

/** Extracts frames and writes frame lists. Throws UserError. */
export async function prepare(options: PrepareOptions): Promise<PrepareResult> {
  const { out, signal } = options;
  const frameFolder = join(out, 'frames');
  const candidates = findCandidates(options.videos, [frameFolder, join(out, 'frame_lists')]);
  makeOutputFolder(out, '--out');
  await requireFfmpeg();
  const wait = (message: string) => options.report?.info(message);
  const lock = await FolderLock.acquire(out, commandLock('data prepare'), { wait, signal });
  if (!lock) throw signal!.reason;
  const preparation = new Preparation(options, frameFolder);
  try {
    const { unknown } = candidates;
    const videos = chooseVideos(candidates, await probeUnknown(unknown, frameFolder, preparation));
    return await preparation.run(videos, candidates.skipped.messages());
  } catch (error) {
    if (!signal?.aborted) throw error;
    return preparation.result({ stopped: true });
  } finally {
    preparation.close();
    lock.release();
  }
}

/** The work on the videos of one folder, and its state. */
class Preparation {
  readonly jobs: number;
  readonly report: Reporter;
  /** Aborts all jobs after an error in one of them, or by the signal of the options. */
  readonly abort = new AbortController();
  readonly failures: Failures = new Map();
  readonly #settings: ExtractionSettings;
  readonly #frames = new Map<VideoFile, number>();
  /** Videos without frames after --start; they are among the failures, too. */
  readonly #tooShort = new Set<VideoFile>();
  #videos: readonly VideoFile[] = [];

  constructor(
    private readonly options: PrepareOptions,
    private readonly frameFolder: string,
  ) {
    const { start = DEFAULTS.start, fps = DEFAULTS.fps, shortSide = DEFAULTS.shortSide } = options;
    this.#settings = { start, end: options.end ?? start + DEFAULT_LENGTH, fps, shortSide };
    this.jobs = options.jobs ?? usableProcessors(machineProbe()).threads;
    this.report = options.report ?? SILENT;
    setMaxListeners(0, this.abort.signal);
    if (options.signal?.aborted) this.#forward();
    else options.signal?.addEventListener('abort', this.#forward);
  }

  readonly #forward = () => this.abort.abort(this.options.signal?.reason);

  close(): void {
    this.options.signal?.removeEventListener('abort', this.#forward);
  }

  async run(
    videos: readonly VideoFile[],
    skipped: readonly { severity: 'warning' | 'note'; text: string }[],
  ): Promise<PrepareResult> {
    this.#videos = videos;
    await this.#findPrepared();
    const before = this.#frames.size === 0 ? '' : `, ${count(this.#frames.size)} done before`;
    this.report.info(`${countOf(videos.length, 'video')} in ${this.options.videos}${before}`);
    for (const { severity, text } of skipped) {
      if (severity === 'warning') this.report.warn(text);
      else this.report.info(`note: ${text}`);
    }
    const left = videos.filter((video) => !this.#frames.has(video));
    await this.#extractAll(await probeAll(left, this.#settings, this));
    if (this.#frames.size > 0) for (const line of this.#writeLists()) this.report.info(line);
    return this.result({ stopped: false });
  }

  result({ stopped }: { stopped: boolean }): PrepareResult {
    const failed = this.#videos.filter((video) => this.failures.has(video));
    const isAllTooShort = this.#frames.size === 0 && this.#tooShort.size > 0;
    return {
      videos: this.#videos.length,
      done: this.#frames.size,
      failures: failed.map((video) => ({ path: video.path, reason: this.failures.get(video)! })),
      advice: isAllTooShort ? ADVICE_FOR_START : null,
      stopped,
    };
  }

  /** Finds the frames of an earlier command. Throws DataError if they cannot be mixed with those of this one. */
  async #findPrepared(): Promise<void> {
    const washedOut = new Map<VideoFile, number>();
    for (const video of this.#videos) {
      const note = noteOfPrepared(this.frameFolder, video, this.#settings);
      if (note) (note.washedOut ? washedOut : this.#frames).set(video, note.frames);
    }
    // If ffmpeg has the filters now, washed-out frames are extracted again.
    if (washedOut.size === 0 || (await missingHdrFilters(this.abort.signal)).length === 0) return;
    for (const [video, number] of washedOut) this.#frames.set(video, number);
  }

  /** Extracts the pending videos and adds each to the frames or the failures. */
  async #extractAll(pending: readonly Pending[]): Promise<void> {
    if (pending.length === 0) return;
    const mapHdr = await this.#canMapHdr(pending);
    const progress = new ExtractionProgress(pending, this.report);
    const processors = usableProcessors(machineProbe()).threads;
    const threads = Math.max(1, Math.floor(processors / Math.min(this.jobs, pending.length)));
    await inParallel(pending, this, async (one) => {
      const { video, metadata } = one;
      try {
        const result = await extractFrames(this.frameFolder, video, {
          settings: this.#settings,
          metadata,
          mapHdr,
          threads,
          signal: this.abort.signal,
          onFrames: (frames) => progress.update(one, frames),
        });
        this.#frames.set(video, result.frames);
        const doubts = this.#doubts(result, one.expectedFrames);
        this.report.info(`${video.name}: ${countOf(result.frames, 'frame')}${doubts}`);
      } catch (error) {
        if (!(error instanceof VideoError)) throw error;
        this.failures.set(video, error.message);
        if (error instanceof TooShortError) this.#tooShort.add(video);
        this.report.info(`${video.name}: failed`);
      }
      progress.finish(one);
    });
  }

  /** Whether HDR can be mapped to SDR; warns about affected videos if not. */
  async #canMapHdr(pending: readonly Pending[]): Promise<boolean> {
    const hdr = pending.filter(({ metadata }) => metadata.hdr !== null).map(({ video }) => video.path);
    if (hdr.length === 0) return false;
    const missing = await missingHdrFilters(this.abort.signal);
    if (missing.length === 0) return true;
    this.report.warn(
      `${washedOut(hdr, missing)}. With an ffmpeg that has these filters, the same command extracts their frames again`,
    );
    return false;
  }

  /** Warnings about extracted frames that may be incomplete. */
  #doubts({ frames, complaint }: Extracted, expected: number | null): string {
    const { fps } = this.#settings;
    const missing = expected === null ? 0 : expected - frames;
    const early =
      missing > fps
        ? `; warning: ${Math.round(missing / fps)} s less than the length stated in the file`
        : '';
    return `${early}${complaint ? `; warning: ffmpeg says: ${complaint}` : ''}`;
  }

  /** Writes the lists of the videos that have frames; returns lines about them. */
  #writeLists(): string[] {
    const names = [...new Set(this.#videos.map(({ list }) => list))];
    const templates: TemplateList[] = [];
    const lines = names.map((list) => {
      const listed = this.#videos.flatMap((video) => {
        const frames = this.#frames.get(video);
        return video.list === list && frames !== undefined ? [{ name: video.name, frames }] : [];
      });
      const file = join(this.options.out, 'frame_lists', `${list}.csv`);
      writeFrameList(file, withPaths(listed));
      if (listed.length > 0) templates.push(this.#templateOf(list, listed[0]));
      const total = listed.reduce((sum, video) => sum + video.frames, 0);
      return `${file}: ${countOf(listed.length, 'video')}, ${countOf(total, 'frame')}`;
    });
    this.#warnOfUnusable();
    const aboutTemplates = writeTemplates(this.options.out, templates);
    return [...lines, '', ...aboutTemplates, ...nextSteps(names, this.options.out, this.#settings)];
  }

  #templateOf(name: string, { name: video, frames }: { name: string; frames: number }): TemplateList {
    const { start, fps } = this.#settings;
    return { name, video, second: Math.ceil(start) + Math.floor((frames - 1) / fps / 2) };
  }

  /** Warns of videos that end before the first time that a key frame may have. */
  #warnOfUnusable(): void {
    const { start, fps } = this.#settings;
    const { firstKeyFrame } = timeBaseFor(this.#settings);
    const lastSecond = (frames: number) => start + (frames - 1) / fps;
    const unusable = [...this.#frames].filter(([, frames]) => lastSecond(frames) < firstKeyFrame);
    if (unusable.length === 0) return;
    const [[{ path }, frames]] = unusable;
    const have = unusable.length === 1 ? 'video has' : 'videos have';
    this.report.warn(
      `${count(unusable.length)} ${have} no usable key frame (first: ${path}, whose last frame is second ` +
        `${readableTime(lastSecond(frames))}): as in AVA, key frames begin at ${firstKeyFrame} if the first frame is second ` +
        `${start}. With any other --start, key frames begin at the first frame`,
    );
  }
}

/** The time base in which the seconds of the annotations are those of the videos. */
function timeBaseFor({ start, end, fps }: Pick<ExtractionSettings, 'start' | 'end' | 'fps'>): TimeBase {
  const LAST_SECOND = Math.max(AVA_LAST_SECOND, end);
  // AVA's own films continue after the last annotated second.
  const isAva = start === AVA_FIRST_SECOND && end === start + DEFAULT_LENGTH;
  return timeBaseOf({
    FIRST_SECOND: start,
    LAST_SECOND: isAva ? AVA_LAST_SECOND : LAST_SECOND,
    FPS: fps,
  });
}

function nextSteps(
  lists: readonly string[],
  out: string,
  extraction: Pick<ExtractionSettings, 'start' | 'end' | 'fps'>,
): string[] {
  const { fps } = extraction;
  const { first, firstKeyFrame, last } = timeBaseFor(extraction);
  const settings = [`DATA.PATH_TO_DATA_DIR ${shellWord(out)}`, `AVA.FPS ${fps}`];
  if (first !== AVA_FIRST_SECOND) settings.push(`AVA.FIRST_SECOND ${first}`);
  if (last !== AVA_LAST_SECOND) settings.push(`AVA.LAST_SECOND ${last}`);
  const list = (key: string, names: readonly string[]) => {
    const name = names.find((candidate) => lists.includes(candidate));
    if (name !== undefined && name !== names[0]) settings.push(`${key} "['${name}.csv']"`);
  };
  list('AVA.TRAIN_LISTS', ['train', 'trainval', LIST_OF_ALL]);
  list('AVA.TEST_LISTS', ['val', 'test', LIST_OF_ALL]);
  return [
    `Settings for this data: ${settings.join(' ')}`,
    `Seconds of the annotations are seconds of the video: the first frame is second ${first} (--start). Key frames may have ` +
      `any time from ${firstKeyFrame} to ${last}, also with a fraction, such as ${Math.ceil(firstKeyFrame) + 0.5}.`,
    'When the annotations are in place, check the data set with `stmixer data check`.',
  ];
}
