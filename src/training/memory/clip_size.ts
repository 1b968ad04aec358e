/** @file The largest clip that a data set gives, from the headers of a few pictures. */

import { readImageSize } from '../../data/clip/image_size.js';
import { scaledSize } from '../../data/clip/transforms.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { batchShape } from '../../data/loading/collate.js';
import { DataError } from '../../errors.js';
import type { Size } from '../../media/image_header.js';

/** Pictures looked at, one of each video: a video's frames have one size, and most videos have that of others. */
const MOST_PICTURES = 64;
/** What is assumed where no header can be read. */
const WIDE: Size = { height: 9, width: 16 };

export interface ClipSizeOptions {
  /** Short sides that clips are resized to. */
  readonly scales: readonly number[];
  /** Both sides of a batch are multiples of it; 0: of nothing. */
  readonly sizeDivisibility: number;
  /** Whether wide and high clips may share a batch, which then is as wide and as high as the largest of either. */
  readonly mixed: boolean;
}

/**
 * The size, in pixels, of the largest batch after resizing and padding. One picture each of up to 64 videos, evenly spread over the
 * data set, stands for all; a 16:9 picture where none can be read.
 */
export function largestClip(dataset: AvaDataset, { scales, sizeDivisibility, mixed }: ClipSizeOptions): Size {
  const scale = Math.max(...scales);
  const clips = samplePictures(dataset).map((size) => scaledSize(size, scale));
  const batches = mixed ? [clips] : clips.map((clip) => [clip]);
  const sizes = batches.map((batch) => paddedSize(batch, sizeDivisibility));
  return sizes.reduce((largest, size) =>
    size.height * size.width > largest.height * largest.width ? size : largest,
  );
}

/** The size of a batch of clips of these sizes. */
export function paddedSize(clips: readonly Size[], sizeDivisibility: number): Size {
  const [, , height, width] = batchShape(
    clips.map((size) => ({ ...size, numFrames: 1 })),
    sizeDivisibility,
  );
  return { height, width };
}

function samplePictures(dataset: AvaDataset): Size[] {
  const firsts = new Map(dataset.keyFrames.toReversed().map((frame) => [frame.videoIndex, frame]));
  const frames = [...firsts.values()];
  const step = Math.max(1, frames.length / MOST_PICTURES);
  const sizes: Size[] = [];
  for (let i = 0; i < frames.length; i += step) {
    try {
      sizes.push(readImageSize(dataset.keyFramePath(frames[Math.floor(i)]), 'a key frame'));
    } catch (error) {
      // Its format may be one whose header is not known here, or it is broken, which is for the loader to say.
      if (!(error instanceof DataError)) throw error;
    }
  }
  return sizes.length > 0 ? sizes : [WIDE];
}
