/** @file The frame numbers of a clip, and decoding of image files. */
import { open } from 'node:fs/promises';
import sharp from 'sharp';
import { bytesOf } from '../../files/file_bytes.js';
import { READ } from '../../files/file_pieces.js';
import { readJpegHeader } from '../../media/image_header.js';
import { type ImageFormat, imageFormat } from '../../media/signatures.js';
import { imageError } from './image_problem.js';

// Many images are decoded at the same time, so one thread per image is fastest.
sharp.concurrency(1);

/**
 * The frame numbers of a clip: from `center − halfLength` to `center + halfLength − 1` in steps of `rate`, each clamped
 * to a video of `numFrames` frames.
 */
export function getSequence(center: number, halfLength: number, rate: number, numFrames: number): number[] {
  const sequence: number[] = [];
  for (let frame = center - halfLength; frame < center + halfLength; frame += rate) {
    sequence.push(Math.min(Math.max(frame, 0), numFrames - 1));
  }
  return sequence;
}

export interface RgbImage {
  readonly height: number;
  readonly width: number;
  /** RGB, [height, width, 3]. */
  readonly data: Uint8Array;
}

// Like cv2.imread, ignore embedded colour profiles and apply the EXIF orientation.
const INPUT = { ignoreIcc: true, autoOrient: true } as const;

/** Most frames are smaller, so one read is enough for them. */
const FIRST_BYTES = 64 * 1024;

/**
 * Decodes an image file to RGB with exactly the bytes of cv2.imread: grey becomes three equal channels, alpha is dropped,
 * 16 bits are cut to 8. Throws DataError, which names the file and `what` (e.g. the video and second it belongs to) and
 * says what is wrong with the file.
 */
export async function decodeImage(path: string, what: string): Promise<RgbImage> {
  try {
    return await decodeBytes(await readImage(path));
  } catch (error) {
    throw imageError(path, what, error);
  }
}

/** All bytes of an image file. Throws Error for any other file before reading the rest of it. */
async function readImage(path: string): Promise<Buffer> {
  const file = await open(path, READ);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('it is not a file');
    const bytes = Buffer.allocUnsafe(Math.min(stats.size, FIRST_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, null);
    if (imageFormat(bytesOf(bytes.subarray(0, bytesRead))) === null) throw new Error('it is not an image');
    if (stats.size <= FIRST_BYTES) return bytes.subarray(0, bytesRead);
    return Buffer.concat([bytes.subarray(0, bytesRead), await file.readFile()]);
  } finally {
    await file.close();
  }
}

/** Decodes the bytes of an image file as `decodeImage` does. Throws the decoder's Error. */
export async function decodeBytes(bytes: Buffer): Promise<RgbImage> {
  const format = imageFormat(bytesOf(bytes));
  const isCmyk = await hasInk(bytes, format);
  const image = sharp(bytes, INPUT);
  const pipeline = isCmyk
    ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
    : image.removeAlpha().toColourspace('srgb');
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const { height, width, channels } = info;
  if (channels !== (isCmyk ? 4 : 3)) throw new Error(`it has ${channels} channels`);
  return { height, width, data: isCmyk ? inkToRgb(data, format) : data };
}

/** Whether the pixels are CMYK or YCCK. */
async function hasInk(bytes: Buffer, format: ImageFormat | null): Promise<boolean> {
  if (format === 'jpeg') return readJpegHeader(bytesOf(bytes))?.channels === 4;
  return format === 'tiff' && (await sharp(bytes, INPUT).metadata()).space === 'cmyk';
}

/** Converts CMYK like OpenCV, which has one formula per format; sharp uses a colour profile, which gives other colours. */
function inkToRgb(cmyk: Uint8Array, format: ImageFormat | null): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  const mix =
    format === 'tiff'
      ? (ink: number, light: number) => Math.floor(((255 - ink) * light) / 255)
      : (ink: number, light: number) => light - ((ink * light) >> 8);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - cmyk[from + 3];
    for (let channel = 0; channel < 3; channel++) rgb[to++] = mix(cmyk[from + channel], light);
  }
  return rgb;
}
