/** @file Decoding frames to check whether they are complete and of one size. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { decodeImage } from '../../data/clip/frames.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { readableTime } from '../../data/time.js';
import { DataError } from '../../errors.js';
import { count } from '../../util/text.js';
import { type FrameFlags, USED } from './check_frames.js';
import type { Findings } from './findings.js';

/** Number of frames of a split that are decoded without --deep; smaller data sets are decoded completely. */
const SAMPLE = 2000;

/** A sample of the frames that clips use. */
export interface FrameSample {
  /** Number of frames that clips use. */
  readonly used: number;
  /** Every `step`-th of them is decoded. */
  readonly step: number;
  /** Number of frames in the sample. */
  readonly size: number;
}

/** Plans which frames to decode; `deep` takes all of them. */
export function planSample(flags: readonly FrameFlags[], { deep }: { deep: boolean }): FrameSample {
  let used = 0;
  for (const video of flags) for (const flag of video) if (flag === USED) used++;
  const step = deep ? 1 : Math.max(1, Math.ceil(used / SAMPLE));
  return { used, step, size: Math.ceil(used / step) };
}

/** Decodes the frames of a sample; calls `onImage` after each of them. */
export async function checkImages(
  dataset: AvaDataset,
  flags: readonly FrameFlags[],
  { used, step, size }: FrameSample,
  { findings, onImage }: { findings: Findings; onImage: () => void },
): Promise<void> {
  let position = 0;
  for (const v of dataset.videos.keys()) {
    const chosen: number[] = [];
    flags[v].forEach((flag, frame) => {
      if (flag === USED && position++ % step === 0) chosen.push(frame);
    });
    const sizes = await decodeFrames(dataset, v, chosen, { findings, onImage });
    checkSizes(dataset, v, sizes, findings);
  }
  if (step > 1) findings.add('sampled', `${count(size)} of ${count(used)} frames that clips use`);
}

/** Frame number → its size as text. */
type FrameSizes = ReadonlyMap<number, string>;

/** Decodes frames of a video, several at a time, and reports broken ones. */
async function decodeFrames(
  dataset: AvaDataset,
  videoIndex: number,
  frames: readonly number[],
  { findings, onImage }: { findings: Findings; onImage: () => void },
): Promise<FrameSizes> {
  const video = dataset.videos[videoIndex];
  const sizes = new Map<number, string>();
  const queue = frames.values();
  const work = async () => {
    for (const frame of queue) {
      const path = resolve(dataset.frameFolder, video.frames.at(frame));
      try {
        const { width, height } = await decodeImage(path, `video ${video.name}, frame ${frame}`);
        sizes.set(frame, `${width}×${height}`);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        findings.add('broken-picture', error.message);
      }
      onImage();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return sizes;
}

/** Reports frames of different sizes in a clip or, if no clip has them, in a video. */
function checkSizes(dataset: AvaDataset, videoIndex: number, sizes: FrameSizes, findings: Findings): void {
  const { name } = dataset.videos[videoIndex];
  if (new Set(sizes.values()).size < 2) return;
  let mixed = 0;
  for (const keyFrame of dataset.keyFrames) {
    if (keyFrame.videoIndex !== videoIndex) continue;
    const inClip = new Set(dataset.sequence(keyFrame).flatMap((frame) => sizes.get(frame) ?? []));
    if (inClip.size < 2) continue;
    mixed++;
    findings.add(
      'mixed-clip',
      `video ${name}, second ${readableTime(keyFrame.second)}: ${[...inClip].join(', ')}`,
    );
  }
  if (mixed > 0) return;
  findings.add('mixed-video', () => {
    const [[first, size], ...rest] = [...sizes].sort(([a], [b]) => a - b);
    const [other, otherSize] = rest.find(([, candidate]) => candidate !== size)!;
    return `video ${name}: frame ${first} has ${size} pixels, frame ${other} has ${otherSize}`;
  });
}
