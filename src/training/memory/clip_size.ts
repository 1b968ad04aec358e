/** @file The largest clip of a data set, from the headers of a few images. */
import { readImageSize } from '../../data/clip/image_size.js';
import { scaledSize } from '../../data/clip/transforms.js';
import type { AvaDataset } from '../../data/datasets/ava_dataset.js';
import { batchShape } from '../../data/loading/collate.js';
import { DataError } from '../../errors.js';
import type { Size } from '../../media/image_header.js';

/** Maximum number of images to read, one per video: a video's frames share one size, and many videos do too. */
const MAX_IMAGES = 64;
/** Shape that is assumed if no header can be read. */
const WIDE: Size = { height: 9, width: 16 };

export interface ClipSizeOptions {
  /** Short sides that clips are resized to. */
  readonly scales: readonly number[];
  /** Both sides of a batch are multiples of it; 0: no rounding. */
  readonly sizeDivisibility: number;
  /** Whether wide and high clips may share a batch, which then is as wide and as high as the largest of either. */
  readonly mixed: boolean;
}

/**
 * The size, in pixels, of the largest batch after resizing and padding. One image each of up to 64 videos, evenly spread over the
 * data set, stands for all; a 16:9 image if none can be read.
 */
export function largestClip(dataset: AvaDataset, { scales, sizeDivisibility, mixed }: ClipSizeOptions): Size {
  const scale = Math.max(...scales);
  const clips = sampleImages(dataset).map((size) => scaledSize(size, scale));
  const batches = mixed ? [clips] : clips.map((clip) => [clip]);
  const sizes = batches.map((batch) => paddedSize(batch, sizeDivisibility));
  return sizes.reduce((largest, size) =>
    size.height * size.width > largest.height * largest.width ? size : largest,
  );
}

/** The size of a batch of clips of these sizes. */
function paddedSize(clips: readonly Size[], sizeDivisibility: number): Size {
  const [, , height, width] = batchShape(
    clips.map((size) => ({ ...size, numFrames: 1 })),
    sizeDivisibility,
  );
  return { height, width };
}

function sampleImages(dataset: AvaDataset): Size[] {
  const firsts = new Map(dataset.keyFrames.toReversed().map((frame) => [frame.videoIndex, frame]));
  const frames = [...firsts.values()];
  const step = Math.max(1, frames.length / MAX_IMAGES);
  const sizes: Size[] = [];
  for (let i = 0; i < frames.length; i += step) {
    try {
      sizes.push(readImageSize(dataset.keyFramePath(frames[Math.floor(i)]), 'a key frame'));
    } catch (error) {
      // The header may be of an unknown format, or broken, which the loader will report.
      if (!(error instanceof DataError)) throw error;
    }
  }
  return sizes.length > 0 ? sizes : [WIDE];
}
