/** @file Batches of clips of different sizes. */
import type { ClipInfo, ClipMetadata } from '../clip/clip.js';

export interface Batch {
  /** [B, T, H, W, 3], normalised, zeros right of and below each clip; may lie in shared memory. */
  readonly video: Float32Array;
  readonly shape: readonly [number, number, number, number, number];
  /** Sizes before padding, w, h, w, h: [B, 4]. */
  readonly whwh: Float32Array;
  /** Boxes of each clip in pixels, x1, y1, x2, y2: [n, 4]. */
  readonly boxes: readonly Float32Array[];
  /** Labels of each clip, multi-hot: [n, numClasses]. */
  readonly labels: readonly Float32Array[];
  readonly clips: readonly ClipInfo[];
  /** The batch that this one is a part of, where processes share a batch. */
  readonly whole?: WholeBatch;
}

/** What a process knows of a batch that it computes a part of. */
export interface WholeBatch {
  /** Number of boxes of each clip of the whole batch. */
  readonly boxCounts: Int32Array;
  /** Place of each own clip in the whole batch. */
  readonly places: readonly number[];
}

/**
 * The shape of a batch of clips with the same number of frames: the largest height and width, by default among them, each
 * rounded up to a multiple of `sizeDivisibility` (0: not rounded).
 */
export function batchShape(
  clips: readonly Pick<ClipMetadata, 'numFrames' | 'height' | 'width'>[],
  sizeDivisibility: number,
  sizes: readonly Pick<ClipMetadata, 'height' | 'width'>[] = clips,
): Batch['shape'] {
  const roundUp = (size: number) =>
    sizeDivisibility > 0 ? Math.ceil(size / sizeDivisibility) * sizeDivisibility : size;
  const height = roundUp(Math.max(...sizes.map(({ height }) => height)));
  const width = roundUp(Math.max(...sizes.map(({ width }) => width)));
  return [clips.length, clips[0].numFrames, height, width, 3];
}

/** The batch of `clips`, whose pixels are in `video`. */
export function makeBatch(clips: readonly ClipMetadata[], shape: Batch['shape'], video: Float32Array): Batch {
  const whwh = new Float32Array(clips.length * 4);
  clips.forEach((clip, i) => {
    whwh.set(clip.whwh, i * 4);
  });
  return {
    video,
    shape,
    whwh,
    boxes: clips.map((clip) => clip.boxes),
    labels: clips.map((clip) => clip.labels),
    clips: clips.map((clip) => clip.info),
  };
}

/** Returns a view of consecutive clips of a batch, padded as they are in the batch. */
export function sliceBatch(
  { video, shape, whwh, boxes, labels, clips }: Batch,
  { first, count }: { readonly first: number; readonly count: number },
): Batch {
  const [B, ...clipShape] = shape;
  const size = video.length / B;
  const end = first + count;
  return {
    video: video.subarray(first * size, end * size),
    shape: [count, ...clipShape],
    whwh: whwh.subarray(4 * first, 4 * end),
    boxes: boxes.slice(first, end),
    labels: labels.slice(first, end),
    clips: clips.slice(first, end),
  };
}
