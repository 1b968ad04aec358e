/** @file Decoding frames to see whether they are whole and of one size. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { decodePicture } from '../../data/clip/frames.js';
import type { Split } from '../../data/data_config.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { DataError } from '../../errors.js';
import { count } from '../../util/progress.js';
import { type FrameFlags, USED } from './check_frames.js';
import type { Findings } from './findings.js';

/** Frames of a split that are decoded without --deep; smaller data sets are looked at whole. */
const SAMPLE = 2000;

/** How many frames of a split `checkPictures` will decode. */
export function numPictures(flags: readonly FrameFlags[], deep: boolean): number {
  return Math.ceil(usedFrames(flags) / stepOf(flags, deep));
}

function usedFrames(flags: readonly FrameFlags[]): number {
  let used = 0;
  for (const video of flags) for (const flag of video) if (flag === USED) used++;
  return used;
}

function stepOf(flags: readonly FrameFlags[], deep: boolean): number {
  return deep ? 1 : Math.max(1, Math.ceil(usedFrames(flags) / SAMPLE));
}

/** Decodes the frames that clips use, or a sample spread evenly over them. */
export async function checkPictures(
  dataset: AvaDataset,
  flags: readonly FrameFlags[],
  split: Split,
  deep: boolean,
  findings: Findings,
  onPicture: () => void,
): Promise<void> {
  const step = stepOf(flags, deep);
  let used = 0;
  for (const [v, video] of dataset.videos.entries()) {
    const chosen: number[] = [];
    flags[v].forEach((flag, frame) => {
      if (flag === USED && used++ % step === 0) chosen.push(frame);
    });
    const sizes = new Map<number, string>();
    const look = async (frame: number) => {
      const path = resolve(dataset.frameFolder, video.frames.at(frame));
      const what = `video ${video.name}, frame ${frame}`;
      try {
        const { width, height } = await decodePicture(path, what);
        sizes.set(frame, `${width}×${height}`);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        findings.add('broken-picture', split, error.message);
      }
      onPicture();
    };
    const queue = chosen.values();
    const worker = async () => {
      for (const frame of queue) await look(frame);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    checkSizes(dataset, v, sizes, split, findings);
  }
  if (step > 1) {
    findings.add(
      'sampled',
      split,
      `${count(Math.ceil(used / step))} of ${count(used)} frames that clips use`,
    );
  }
}

function checkSizes(
  dataset: AvaDataset,
  videoIndex: number,
  sizes: ReadonlyMap<number, string>,
  split: Split,
  findings: Findings,
): void {
  const { name } = dataset.videos[videoIndex];
  if (new Set(sizes.values()).size < 2) return;
  let mixed = 0;
  for (const keyFrame of dataset.keyFrames) {
    if (keyFrame.videoIndex !== videoIndex) continue;
    const inClip = new Set(dataset.sequence(keyFrame).flatMap((frame) => sizes.get(frame) ?? []));
    if (inClip.size < 2) continue;
    mixed++;
    findings.add('mixed-clip', split, `video ${name}, second ${keyFrame.second}: ${[...inClip].join(', ')}`);
  }
  if (mixed === 0) {
    findings.add('mixed-video', split, () => {
      const [[first, size], ...rest] = [...sizes].sort(([a], [b]) => a - b);
      const [other, otherSize] = rest.find(([, candidate]) => candidate !== size)!;
      return `video ${name}: frame ${first} has ${size} pixels, frame ${other} has ${otherSize}`;
    });
  }
}
