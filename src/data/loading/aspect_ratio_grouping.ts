/** @file Groups of clips by shape: clips of different groups are never in one batch (DATALOADER.ASPECT_RATIO_GROUPING). */
import { readImageSize } from '../clip/image_size.js';
import type { AvaDataset } from '../datasets/ava_dataset.js';
import { readableTime } from '../time.js';

/**
 * The group of every clip, as in the official code: 1 if it is at least as high as wide, else 0. Reads the header of one frame
 * per video. Throws DataError.
 */
export function groupByShape(dataset: AvaDataset): Uint8Array {
  const shapes = new Map<number, number>();
  return Uint8Array.from(dataset.keyFrames, (keyFrame) => {
    const { videoIndex } = keyFrame;
    let shape = shapes.get(videoIndex);
    if (shape === undefined) {
      const what = `video ${dataset.videos[videoIndex].name}, second ${readableTime(keyFrame.second)}`;
      const { height, width } = readImageSize(dataset.keyFramePath(keyFrame), what);
      shape = height >= width ? 1 : 0;
      shapes.set(videoIndex, shape);
    }
    return shape;
  });
}
