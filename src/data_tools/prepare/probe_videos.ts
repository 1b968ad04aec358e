/** @file Asking ffmpeg about many files before frames are extracted. */
import { AVA_FIRST_SECOND } from '../../data/time.js';
import { DataError } from '../../errors.js';
import type { ExtractionSettings } from '../../media/frame_extraction.js';
import { probeVideo, type VideoMetadata } from '../../media/video_metadata.js';
import { inParallel } from '../../util/in_parallel.js';
import type { Reporter } from '../../util/log.js';
import { countOf } from '../../util/text.js';
import { isPrepared } from './prepared_video.js';
import type { VideoFile } from './videos.js';

/** Videos that failed → the reason. */
export type Failures = Map<VideoFile, string>;

/** A video whose frames are still to be extracted. */
export interface Pending {
  readonly video: VideoFile;
  readonly metadata: VideoMetadata;
  /** Null if the file does not state its length. */
  readonly expectedFrames: number | null;
}

export const ADVICE_FOR_START =
  "The default, seconds 900 to 1800, is for AVA's films: --start 0 extracts frames from the beginning of the videos; " +
  'their first frame is then second 0 of the annotations, too (AVA.FIRST_SECOND 0)';

/** Resources of the work on many videos. */
export interface Parallel {
  /** Number of videos at a time. */
  readonly jobs: number;
  readonly abort: AbortController;
  readonly report: Reporter;
}

/** Asks about files whose kind is unknown, except those that were prepared before. Throws the reason of the abort. */
export async function probeUnknown(
  files: readonly VideoFile[],
  frameFolder: string,
  { jobs, abort, report }: Parallel,
): Promise<Map<VideoFile, VideoMetadata>> {
  const found = new Map<VideoFile, VideoMetadata>();
  const asked = files.filter((file) => !isPrepared(frameFolder, file));
  await inParallel(asked, { jobs, abort }, async (file) => {
    found.set(file, await probeVideo(file.path, abort.signal));
    report.progress(found.size, asked.length, 'files of unknown kind checked');
  });
  return found;
}

/**
 * Asks about each video. Adds videos without usable frames to `failures`. Throws DataError if all videos end before --start, or the
 * reason of the abort.
 */
export async function probeAll(
  videos: readonly VideoFile[],
  settings: ExtractionSettings,
  { jobs, abort, report, failures }: Parallel & { failures: Failures },
): Promise<Pending[]> {
  const found = new Map<VideoFile, VideoMetadata>();
  const short = new Set<VideoFile>();
  await inParallel(videos, { jobs, abort }, async (video) => {
    const metadata =
      video.problem === null ? (video.metadata ?? (await probeVideo(video.path, abort.signal))) : null;
    const problem = video.problem ?? metadata?.problem ?? null;
    if (metadata === null || problem !== null) {
      failures.set(video, problem!);
    } else if (metadata.duration !== null && metadata.duration <= settings.start) {
      short.add(video);
      const seconds = metadata.duration.toFixed(1);
      failures.set(video, `it ends after ${seconds} s, before --start ${settings.start}`);
    } else {
      found.set(video, metadata);
    }
  });
  if (short.size > 0 && found.size === 0) throw allTooShort(videos, short, failures);
  noteLongVideos(found, settings, report);
  return videos.flatMap((video) => {
    const metadata = found.get(video);
    return metadata ? [{ video, metadata, expectedFrames: expectedFrames(metadata, settings) }] : [];
  });
}

function allTooShort(
  videos: readonly VideoFile[],
  short: ReadonlySet<VideoFile>,
  failures: Failures,
): DataError {
  const first = videos.find((video) => short.has(video))!;
  const others = short.size > 1 ? `, as do the other ${short.size - 1}` : '';
  return new DataError(`${first.path}: ${failures.get(first)}${others}. ${ADVICE_FOR_START}`);
}

function expectedFrames({ duration }: VideoMetadata, { start, end, fps }: ExtractionSettings): number | null {
  return duration === null ? null : Math.max(1, Math.round((Math.min(end, duration) - start) * fps));
}

/** Reports videos that continue after --end. */
function noteLongVideos(
  found: ReadonlyMap<VideoFile, VideoMetadata>,
  { start, end }: ExtractionSettings,
  report: Reporter,
): void {
  // All of AVA's films continue; for other videos it may be a mistake.
  if (start === AVA_FIRST_SECOND) return;
  const beyond = [...found].filter(([, { duration }]) => duration !== null && duration > end + 1);
  if (beyond.length === 0) return;
  const first = beyond.map(([video]) => video.path).sort()[0];
  report.info(
    `note: ${countOf(beyond.length, 'video continues', 'videos continue')} after second ${end} (first: ${first}); ` +
      'the rest is left out, because of --end',
  );
}
