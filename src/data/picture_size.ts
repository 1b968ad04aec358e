/** @file The size of a picture from the first bytes of its file, and which clips are alike in shape. */
import { closeSync, openSync, readSync } from 'node:fs';
import { DataError } from '../errors.js';
import type { AvaDataset } from './dataset.js';
import { type ByteSource, pictureFormat, readJpegHeader, readPngSize } from './picture_header.js';
import { pictureError, READ } from './picture_problem.js';
import type { Size } from './transforms.js';

/** Embedded previews and profiles may stand before the size, so a file is read on until it is found. */
const CHUNK_BYTES = 4096;

/** Bytes of an open file, read in chunks. */
class FileBytes implements ByteSource {
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #start = -1;
  #end = -1;

  constructor(private readonly fd: number) {}

  at(offset: number): number {
    if (offset < this.#start || offset >= this.#start + CHUNK_BYTES || this.#start < 0) {
      this.#start = offset;
      this.#end = offset + readSync(this.fd, this.#chunk, 0, CHUNK_BYTES, offset);
    }
    return offset < this.#end ? this.#chunk[offset - this.#start] : 0;
  }
}

/**
 * Height and width of a JPEG or PNG file as it is shown, that is, after an EXIF rotation. Throws DataError that names the
 * file and `what`, e.g. the video that it belongs to.
 */
export function readPictureSize(path: string, what: string): Size {
  try {
    return readSize(path);
  } catch (error) {
    if (error instanceof UnknownSize)
      throw new DataError(`${path}: ${what}: ${error.message}`, { cause: error });
    throw pictureError(path, what, error);
  }
}

class UnknownSize extends Error {}

function readSize(path: string): Size {
  const fd = openSync(path, READ);
  try {
    const bytes = new FileBytes(fd);
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
  } finally {
    closeSync(fd);
  }
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
