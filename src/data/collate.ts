/** @file Clips of different sizes in one batch. */
import { type Clip, type ClipInfo, writeVideo } from './clip.js';

export interface Batch {
  /** [B, T, H, W, 3], normalised, zeros right of and below each clip. */
  readonly video: Float32Array;
  readonly shape: readonly [number, number, number, number, number];
  /** Sizes before padding, w, h, w, h: [B, 4]. */
  readonly whwh: Float32Array;
  /** Per clip, in pixels x1, y1, x2, y2: [n, 4]. */
  readonly boxes: readonly Float32Array[];
  /** Per clip, multi-hot: [n, numClasses]. */
  readonly labels: readonly Float32Array[];
  readonly clips: readonly ClipInfo[];
}

/**
 * Puts clips with the same number of frames into one tensor of the largest height and width among them, each rounded
 * up to a multiple of `sizeDivisibility` (0: not rounded). `reuse`, where it is long enough, becomes the video's memory:
 * fresh memory of that size costs more than filling it.
 */
export function collate(clips: readonly Clip[], sizeDivisibility: number, reuse?: Float32Array): Batch {
  const roundUp = (size: number) =>
    sizeDivisibility > 0 ? Math.ceil(size / sizeDivisibility) * sizeDivisibility : size;
  const numFrames = clips[0].numFrames;
  const height = roundUp(Math.max(...clips.map((clip) => clip.height)));
  const width = roundUp(Math.max(...clips.map((clip) => clip.width)));
  const clipLength = numFrames * height * width * 3;
  const length = clips.length * clipLength;
  const video = reuse && reuse.length >= length ? reuse.subarray(0, length) : new Float32Array(length);
  const whwh = new Float32Array(clips.length * 4);
  clips.forEach((clip, i) => {
    writeVideo(clip, video, i * clipLength, height, width);
    whwh.set(clip.whwh, i * 4);
  });
  return {
    video,
    shape: [clips.length, numFrames, height, width, 3],
    whwh,
    boxes: clips.map((clip) => clip.boxes),
    labels: clips.map((clip) => clip.labels),
    clips: clips.map((clip) => clip.info),
  };
}
