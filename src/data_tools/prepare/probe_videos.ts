/** @file Asking ffmpeg about many files before frames are extracted. */
import { LAST_SECOND, SECOND_OF_FRAME_0 } from '../../data/datasets/ava_annotations.js';
import { DataError } from '../../errors.js';
import type { ExtractionSettings } from '../../media/frame_extraction.js';
import { probeVideo, type VideoFacts } from '../../media/video_facts.js';
import { inParallel } from '../../util/in_parallel.js';
import { countOf, Progress } from '../../util/progress.js';
import { hasFrames } from './prepared_video.js';
import type { VideoFile } from './videos.js';

/** The videos that failed, each with the reason. */
export type Failures = Map<VideoFile, string>;

/** A video that is still to be done. */
export interface Pending {
  readonly video: VideoFile;
  readonly facts: VideoFacts;
  /** Null where the file does not state its length. */
  readonly expectedFrames: number | null;
}

export const ADVICE_FOR_START =
  "The default, seconds 900 to 1800, is for AVA's movies: --start 0 takes videos from their beginning, and second 900 of " +
  'the annotations is then second 0 of the video';

/**
 * Asks about files whose names do not tell what they are; those that were prepared before are left out. Throws the reason of
 * the abort.
 */
export async function askAbout(
  files: readonly VideoFile[],
  frameFolder: string,
  jobs: number,
  abort: AbortController,
): Promise<Map<VideoFile, VideoFacts>> {
  const facts = new Map<VideoFile, VideoFacts>();
  const asked = files.filter((file) => !hasFrames(frameFolder, file));
  if (asked.length === 0) return facts;
  const progress = new Progress(asked.length, 'files of unknown kind looked at');
  try {
    await inParallel(asked, { jobs, abort }, async (file) => {
      facts.set(file, await probeVideo(file.path, abort.signal));
      progress.update(facts.size);
    });
  } finally {
    progress.close();
  }
  return facts;
}

/**
 * Asks each video for its length. Those without usable pictures become failures. Throws DataError if all end before --start,
 * or the reason of the abort.
 */
export async function probeAll(
  videos: readonly VideoFile[],
  options: ExtractionSettings & { jobs: number },
  { failures, abort }: { failures: Failures; abort: AbortController },
): Promise<Pending[]> {
  const { start } = options;
  const found = new Map<VideoFile, VideoFacts>();
  const short: VideoFile[] = [];
  await inParallel(videos, { jobs: options.jobs, abort }, async (video) => {
    const facts =
      video.problem === null ? (video.facts ?? (await probeVideo(video.path, abort.signal))) : null;
    const problem = video.problem ?? facts?.problem ?? null;
    if (facts === null || problem !== null) {
      failures.set(video, problem!);
    } else if (facts.duration !== null && facts.duration <= start) {
      short.push(video);
      failures.set(video, `it ends after ${facts.duration.toFixed(1)} s, before --start ${start}`);
    } else {
      found.set(video, facts);
    }
  });
  if (short.length > 0 && found.size === 0) {
    const first = videos.find((video) => short.includes(video))!;
    throw new DataError(
      `${first.path}: ${failures.get(first)}${short.length > 1 ? `, as do the other ${short.length - 1}` : ''}. ` +
        ADVICE_FOR_START,
    );
  }
  sayWhatGoesOn(found, options);
  return videos.flatMap((video) => {
    const facts = found.get(video);
    return facts ? [{ video, facts, expectedFrames: expectedFrames(facts, options) }] : [];
  });
}

function expectedFrames({ duration }: VideoFacts, { start, end, fps }: ExtractionSettings): number | null {
  return duration === null ? null : Math.max(1, Math.round((Math.min(end, duration) - start) * fps));
}

/** A note about videos that are longer than what is taken of them. */
function sayWhatGoesOn(found: ReadonlyMap<VideoFile, VideoFacts>, { start, end }: ExtractionSettings): void {
  // AVA's movies all go on; with other videos it may be forgotten.
  if (start === SECOND_OF_FRAME_0) return;
  const beyond = [...found].filter(([, { duration }]) => duration !== null && duration > end + 1);
  if (beyond.length === 0) return;
  const first = beyond.map(([video]) => video.path).sort()[0];
  process.stdout.write(
    `note: ${countOf(beyond.length, 'video goes', 'videos go')} on after second ${end} (--end; first: ` +
      `${first}), and what follows is left out. Annotations reach ${LAST_SECOND - SECOND_OF_FRAME_0} s after --start; cut ` +
      'longer videos into several files\n',
  );
}
