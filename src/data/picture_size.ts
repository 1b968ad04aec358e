/** @file The size of a picture from the first bytes of its file, and which clips are alike in shape. */
import { closeSync, openSync, readSync } from 'node:fs';
import { DataError } from '../errors.js';
import type { AvaDataset } from './dataset.js';
import type { Size } from './transforms.js';

/** Embedded previews and profiles may stand before the size, so a file is read on until it is found. */
const CHUNK_BYTES = 4096;

const EXIF_ORIENTATION = 0x0112;

/** Bytes of a file at any offset, big endian; what lies beyond its end reads as 0. */
class Bytes {
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

  number(offset: number, length: number, littleEndian = false): number {
    let value = 0;
    for (let i = 0; i < length; i++) {
      value = value * 256 + this.at(offset + (littleEndian ? length - 1 - i : i));
    }
    return value;
  }
}

/** Height and width of a JPEG or PNG file as it is shown, that is, after an EXIF rotation. Throws DataError. */
export function readPictureSize(path: string): Size {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new DataError(`${path}: the picture cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const bytes = new Bytes(fd);
    const size =
      bytes.number(0, 4) === 0x89504e47 // \x89PNG; its first chunk is IHDR
        ? { width: bytes.number(16, 4), height: bytes.number(20, 4) }
        : bytes.number(0, 2) === 0xffd8
          ? jpegSize(bytes)
          : null;
    if (size && size.width > 0 && size.height > 0) return size;
  } finally {
    closeSync(fd);
  }
  throw new DataError(
    `${path}: this is not a whole JPEG or PNG picture; the shapes of others cannot be told without decoding them: set ` +
      'DATALOADER.ASPECT_RATIO_GROUPING to False, or extract this frame again',
  );
}

function jpegSize(bytes: Bytes): Size | null {
  let turned = false;
  for (let at = 2; bytes.at(at) === 0xff; ) {
    const marker = bytes.at(at + 1);
    if (marker === 0xff) {
      // A marker may have any number of these before it.
      at++;
      continue;
    }
    const data = at + 4;
    const length = bytes.number(at + 2, 2);
    // Start of frame 0…15, without the tables that have numbers among them.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const [height, width] = [bytes.number(data + 1, 2), bytes.number(data + 3, 2)];
      return turned ? { height: width, width: height } : { height, width };
    }
    // Beyond the start of the scan, or a segment without a length, there is nothing to be found.
    if (marker === 0xda || length < 2) return null;
    if (marker === 0xe1) turned ||= isTurned(bytes, data);
    at += 2 + length;
  }
  return null;
}

/** Whether the EXIF data at `start` turns the picture by a quarter, that is, swaps its sides. */
function isTurned(bytes: Bytes, start: number): boolean {
  if (bytes.number(start, 4) !== 0x45786966) return false; // Exif
  const tiff = start + 6;
  const little = bytes.number(tiff, 2) === 0x4949;
  const directory = tiff + bytes.number(tiff + 4, 4, little);
  const entries = bytes.number(directory, 2, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    // Orientations 5…8 are those that swap the sides.
    if (bytes.number(entry, 2, little) === EXIF_ORIENTATION) return bytes.number(entry + 8, 2, little) >= 5;
  }
  return false;
}

/** For every clip 1 where it is at least as high as wide, else 0: the official groups. One frame per video is read. */
export function groupByShape(dataset: AvaDataset): Uint8Array {
  const shapes = new Map<number, number>();
  return Uint8Array.from(dataset.keyFrames, (keyFrame) => {
    const { videoIndex } = keyFrame;
    let shape = shapes.get(videoIndex);
    if (shape === undefined) {
      const { height, width } = readPictureSize(dataset.keyFramePath(keyFrame));
      shape = height >= width ? 1 : 0;
      shapes.set(videoIndex, shape);
    }
    return shape;
  });
}
