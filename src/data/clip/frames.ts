/** @file Which frames make up a clip, and reading them from picture files. */
import { open } from 'node:fs/promises';
import sharp from 'sharp';
import { READ } from '../../files/file_pieces.js';
import { bytesOf, type PictureFormat, pictureFormat, readJpegHeader } from '../../media/image_header.js';
import { pictureError } from './image_problem.js';

// Many pictures are decoded at once, so one thread each is fastest.
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

export interface Picture {
  readonly height: number;
  readonly width: number;
  /** RGB, [height, width, 3]. */
  readonly data: Uint8Array;
}

// Embedded colour profiles are ignored and the EXIF orientation is applied: what cv2.imread does.
const INPUT = { ignoreIcc: true, autoOrient: true } as const;

/** Most frames are not larger, so they are read at once. */
const FIRST_BYTES = 64 * 1024;

/**
 * Decodes a picture file to RGB with the very bytes of cv2.imread: grey becomes three equal channels, alpha is dropped,
 * 16 bits are cut to 8. Throws DataError that names the file and `what`, e.g. the video and second it belongs to, and
 * says what the file is where it is no whole picture.
 */
export async function decodePicture(path: string, what: string): Promise<Picture> {
  try {
    return await decodeBytes(await readPicture(path));
  } catch (error) {
    throw pictureError(path, what, error);
  }
}

/** All bytes of a picture file; an Error for what is no picture, before the rest of it is read. */
async function readPicture(path: string): Promise<Buffer> {
  const file = await open(path, READ);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('it is no file');
    const bytes = Buffer.allocUnsafe(Math.min(stats.size, FIRST_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, null);
    if (pictureFormat(bytesOf(bytes.subarray(0, bytesRead))) === null) throw new Error('it is no picture');
    if (stats.size <= FIRST_BYTES) return bytes.subarray(0, bytesRead);
    return Buffer.concat([bytes.subarray(0, bytesRead), await file.readFile()]);
  } finally {
    await file.close();
  }
}

/** Decodes the bytes of a picture file as `decodePicture` does. Throws the decoder's Error. */
export async function decodeBytes(bytes: Buffer): Promise<Picture> {
  const format = pictureFormat(bytesOf(bytes));
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

/** Whether the pixels are CMYK or YCCK, which each file says for itself. */
async function hasInk(bytes: Buffer, format: PictureFormat | null): Promise<boolean> {
  if (format === 'jpeg') return readJpegHeader(bytesOf(bytes))?.channels === 4;
  return format === 'tiff' && (await sharp(bytes, INPUT).metadata()).space === 'cmyk';
}

/** OpenCV's conversions of CMYK, one for each format; sharp goes through a colour profile, which gives other colours. */
function inkToRgb(cmyk: Uint8Array, format: PictureFormat | null): Uint8Array {
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
