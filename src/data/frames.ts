/** @file Which frames make up a clip, and reading them from picture files. */
import sharp from 'sharp';
import { DataError } from '../errors.js';

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

/** How a file's pixels are stored, where that changes how it must be read. */
export type PixelFormat = 'cmyk' | 'other';

// Embedded colour profiles are ignored and the EXIF orientation is applied: what cv2.imread does.
const INPUT = { ignoreIcc: true, autoOrient: true } as const;

/** Reads the header of a picture. Throws DataError that begins with `what`, e.g. the video and second it belongs to. */
export async function readPixelFormat(path: string, what: string): Promise<PixelFormat> {
  try {
    const { space } = await sharp(path, INPUT).metadata();
    return space === 'cmyk' ? 'cmyk' : 'other';
  } catch (error) {
    throw unreadable(path, what, error);
  }
}

/**
 * Decodes a picture file to RGB with the very bytes of cv2.imread: grey becomes three equal channels, alpha is dropped,
 * 16 bits are cut to 8. A truncated or otherwise broken file is a DataError that names it and `what`.
 */
export async function decodePicture(path: string, format: PixelFormat, what: string): Promise<Picture> {
  try {
    const image = sharp(path, INPUT);
    const pipeline =
      format === 'cmyk'
        ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
        : image.removeAlpha().toColourspace('srgb');
    const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== (format === 'cmyk' ? 4 : 3)) throw new Error(`it has ${info.channels} channels`);
    const { height, width } = info;
    return { height, width, data: format === 'cmyk' ? cmykToRgb(data) : data };
  } catch (error) {
    throw unreadable(path, what, error);
  }
}

/** OpenCV's conversion; sharp goes through a colour profile instead, which gives other colours. */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const key = 255 - cmyk[from + 3];
    for (let channel = 0; channel < 3; channel++) rgb[to++] = key - ((cmyk[from + channel] * key) >> 8);
  }
  return rgb;
}

function unreadable(path: string, what: string, error: unknown): DataError {
  const message = (error as Error).message.trim();
  const why = message.startsWith('Input file is missing')
    ? 'the file is missing'
    : `the picture cannot be decoded (${message})`;
  return new DataError(`${path}: ${what}: ${why}; extract this frame again`, { cause: error });
}
