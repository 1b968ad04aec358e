/** @file The size of a picture from the first bytes of its file, and which clips are alike in shape. */
import { DataError } from '../../errors.js';
import { type ByteSource, withFileBytes } from '../../files/file_bytes.js';
import { pictureFormat, readJpegHeader, readPngSize } from '../../media/image_header.js';
import type { AvaDataset } from '../datasets/ava_dataset.js';
import { pictureError } from './image_problem.js';
import type { Size } from './transforms.js';

/**
 * Height and width of a JPEG or PNG file as it is shown, that is, after an EXIF rotation. Throws DataError that names the
 * file and `what`, e.g. the video that it belongs to.
 */
export function readPictureSize(path: string, what: string): Size {
  try {
    return withFileBytes(path, sizeIn);
  } catch (error) {
    if (error instanceof UnknownSize)
      throw new DataError(`${path}: ${what}: ${error.message}`, { cause: error });
    throw pictureError(path, what, error);
  }
}

class UnknownSize extends Error {}

function sizeIn(bytes: ByteSource): Size {
  const format = pictureFormat(bytes);
  if (format !== null && format !== 'jpeg' && format !== 'png') {
    throw new UnknownSize(
      'the shape of a picture that is neither JPEG nor PNG cannot be told without decoding it: set ' +
        'DATALOADER.ASPECT_RATIO_GROUPING to False, or extract the frames as JPEG',
    );
  }
  const size = format === 'jpeg' ? readJpegHeader(bytes)?.size : readPngSize(bytes);
  if (format !== null && size && size.width > 0 && size.height > 0) return size;
  throw new Error('its header has no size');
}

/** For every clip 1 where it is at least as high as wide, else 0: the official groups. One frame per video is read. */
export function groupByShape(dataset: AvaDataset): Uint8Array {
  const shapes = new Map<number, number>();
  return Uint8Array.from(dataset.keyFrames, (keyFrame) => {
    const { videoIndex } = keyFrame;
    let shape = shapes.get(videoIndex);
    if (shape === undefined) {
      const what = `video ${dataset.videos[videoIndex].name}, second ${keyFrame.second}`;
      const { height, width } = readPictureSize(dataset.keyFramePath(keyFrame), what);
      shape = height >= width ? 1 : 0;
      shapes.set(videoIndex, shape);
    }
    return shape;
  });
}
