/** @file Whether the frames of videos last as long as their annotations, at AVA.FPS. */
import type { Annotations, KeyFrame } from '../../data/datasets/ava_annotations.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { frameOf, isSameTime, readableTime } from '../../data/time.js';
import { findRows } from '../../evaluation/ava_csv.js';
import { countOf } from '../../util/text.js';
import { noteBeside } from './check_frames.js';
import type { Findings } from './findings.js';

/** Common frame rates. */
const COMMON_RATES = [60, 50, 30, 25, 24, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1];
/** Factor by which a video may be longer than its annotations without being reported. */
const MUCH_LONGER = 1.5;
/** Time that AVA's films continue after the last annotated second. */
const TAIL_SECONDS = 5;
/** Minimum number of late key frames that are explained by a wrong rate; fewer are probably mistakes in their rows. */
const MIN_LATE = 3;
/** Maximum ratio of the time before the first late key frame to the usual time between two key frames. */
const MAX_JUMP = 3;

/** The key frames of a video, in order of time. */
interface VideoKeyFrames {
  readonly videoIndex: number;
  readonly keyFrames: KeyFrame[];
  /** Number of frames of the video. */
  readonly frames: number;
}

/** Reports key frames beyond the end of their video, and videos that last much longer than their annotations. */
export function checkRate(dataset: AvaDataset, annotations: Annotations, findings: Findings): void {
  const videos = byVideo(dataset);
  const late = videos.flatMap(({ keyFrames, frames }) => keyFrames.filter(({ center }) => center >= frames));
  for (const { videoIndex, second, center } of late) {
    const { name, frames } = dataset.videos[videoIndex];
    findings.add('beyond-end', () => {
      const [at] = findRows(
        annotations.files,
        (row) => row.video === name && isSameTime(row.second, second),
        1,
      );
      return `${at}: video ${name}, second ${readableTime(second)} is frame ${center} of ${frames.length}`;
    });
  }
  if (late.length > 0) findings.advise('beyond-end', adviceForLate(dataset, videos, late.length));
  else checkLength(dataset, videos, findings);
}

function byVideo({ keyFrames, videos }: AvaDataset): VideoKeyFrames[] {
  const found = new Map<number, VideoKeyFrames>();
  for (const keyFrame of keyFrames) {
    const { videoIndex } = keyFrame;
    const entry = found.get(videoIndex);
    if (entry) entry.keyFrames.push(keyFrame);
    else
      found.set(videoIndex, { videoIndex, keyFrames: [keyFrame], frames: videos[videoIndex].frames.length });
  }
  return [...found.values()];
}

function adviceForLate(dataset: AvaDataset, videos: readonly VideoKeyFrames[], late: number): string {
  const { fps } = dataset.timeBase;
  const rate = rateOfFrames(dataset, videos);
  const lateVideos = videos.filter(isLate).length;
  const share = `${lateVideos} of ${countOf(videos.length, 'video')}`;
  const shown = 'such clips show only the last frame';
  if (rate !== null) {
    return `${shown}. In ${share} AVA.FPS ${fps} is higher than the rate of the frames; AVA.FPS ${rate} would fit all of them`;
  }
  const rows = late === 1 ? 'the second of this row' : 'the seconds of these rows';
  return `${shown}: correct ${rows}, or, if frames are missing at the end (in ${share}), extract them again`;
}

function isLate({ keyFrames, frames }: VideoKeyFrames): boolean {
  return keyFrames[keyFrames.length - 1].center >= frames;
}

/** A rate below AVA.FPS that explains all late key frames; null if mistakes in rows or missing frames are more likely. */
export function rateOfFrames(
  dataset: AvaDataset,
  videos: readonly VideoKeyFrames[] = byVideo(dataset),
): number | null {
  const base = dataset.timeBase;
  const late = videos.filter(isLate);
  const numLate = late.reduce((sum, video) => sum + lateOnes(video).length, 0);
  const all = videos.reduce((sum, { keyFrames }) => sum + keyFrames.length, 0);
  const isEnough = numLate >= MIN_LATE || (numLate > 1 && numLate === all);
  if (!isEnough || 2 * late.length < videos.length) return null;
  // Frames that `stmixer data prepare` made at this rate have it.
  const isPrepared = ({ videoIndex }: VideoKeyFrames) =>
    noteBeside(dataset, dataset.videos[videoIndex])?.fps === base.fps;
  if (late.some((video) => hasJump(video) || isPrepared(video))) return null;
  const rate = COMMON_RATES.find((candidate) =>
    videos.every(({ keyFrames, frames }) => {
      const { second } = keyFrames[keyFrames.length - 1];
      return frameOf(second, { first: base.first, fps: candidate }) < frames;
    }),
  );
  return rate !== undefined && rate < base.fps ? rate : null;
}

function lateOnes({ keyFrames, frames }: VideoKeyFrames): KeyFrame[] {
  return keyFrames.filter(({ center }) => center >= frames);
}

/** Whether the late key frames of a video do not follow the others closely, as they would with a wrong rate. */
function hasJump(video: VideoKeyFrames): boolean {
  const { keyFrames } = video;
  const gaps = keyFrames.slice(1).map(({ second }, i) => second - keyFrames[i].second);
  const usual = gaps.toSorted((a, b) => a - b)[gaps.length >> 1];
  const first = keyFrames.length - lateOnes(video).length;
  return gaps.slice(Math.max(0, first - 1)).some((gap) => gap > MAX_JUMP * usual);
}

/** Reports videos that last much longer than their annotations. */
function checkLength(
  { videos, timeBase: { first, fps } }: AvaDataset,
  annotated: readonly VideoKeyFrames[],
  findings: Findings,
): void {
  const ends = annotated.map(({ videoIndex, keyFrames, frames }) => {
    const { second } = keyFrames[keyFrames.length - 1];
    return { video: videos[videoIndex], second, rate: frames / (second - first + TAIL_SECONDS) };
  });
  const rates = ends.map(({ rate }) => rate).sort((a, b) => a - b);
  const median = rates[rates.length >> 1];
  if (median === undefined || median < MUCH_LONGER * fps) return;
  const [{ video, second }] = ends;
  const { name, frames } = video;
  findings.add(
    'long-video',
    `video ${name} has ${frames.length} frames, ${Math.round(frames.length / fps)} s at AVA.FPS ${fps}; its last ` +
      `annotated second is ${readableTime(second)}`,
    rates.filter((rate) => rate >= MUCH_LONGER * fps).length,
  );
  findings.advise(
    'long-video',
    `this is correct if only a part of the video is annotated; otherwise AVA.FPS ${fps} is lower than the rate of the frames`,
  );
}
