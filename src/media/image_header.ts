/** @file The first bytes of a picture file: which format it has, how large it is and how its pixels are stored. */
import type { Size } from '../data/clip/transforms.js';
import type { ByteSource } from '../files/file_bytes.js';

/** The formats that frames may have, whatever their names end in. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'tiff' | 'gif' | 'avif';

export function bytesOf(buffer: Uint8Array): ByteSource {
  return { at: (offset) => buffer[offset] ?? 0 };
}

function numberAt(bytes: ByteSource, offset: number, length: number, littleEndian = false): number {
  let value = 0;
  for (let i = 0; i < length; i++)
    value = value * 256 + bytes.at(offset + (littleEndian ? length - 1 - i : i));
  return value;
}

function textAt(bytes: ByteSource, offset: number, length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, i) => bytes.at(offset + i)));
}

const AVIF_BRANDS = new Set(['avif', 'avis', 'mif1']);

/** The format that a file's first bytes say it has, or null for any other file. */
export function pictureFormat(bytes: ByteSource): PictureFormat | null {
  const start = textAt(bytes, 0, 4);
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start === '\x89PNG') return 'png';
  if (start === 'RIFF' && textAt(bytes, 8, 4) === 'WEBP') return 'webp';
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(start)) return 'tiff';
  if (start === 'GIF8') return 'gif';
  if (textAt(bytes, 4, 4) === 'ftyp' && AVIF_BRANDS.has(textAt(bytes, 8, 4))) return 'avif';
  return null;
}

/** Facts in the header of a JPEG file. */
export interface JpegHeader {
  /** As the picture is shown, that is, after an EXIF rotation. */
  readonly size: Size;
  /** Colour channels: 1, 3, or 4 for CMYK and YCCK. */
  readonly channels: number;
}

/** Reads the segments up to the start of the frame; null where there is none. */
export function readJpegHeader(bytes: ByteSource): JpegHeader | null {
  let turned = false;
  for (let at = 2; bytes.at(at) === 0xff; ) {
    const marker = bytes.at(at + 1);
    if (marker === 0xff) {
      // A marker may have any number of these before it.
      at++;
      continue;
    }
    const data = at + 4;
    const length = numberAt(bytes, at + 2, 2);
    // Start of frame 0…15, without the tables that have numbers among them.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const size = { height: numberAt(bytes, data + 1, 2), width: numberAt(bytes, data + 3, 2) };
      return { size: turned ? swapped(size) : size, channels: bytes.at(data + 5) };
    }
    // Beyond the start of the scan, or a segment without a length, there is nothing to be found.
    if (marker === 0xda || length < 2) return null;
    if (marker === 0xe1 && textAt(bytes, data, 4) === 'Exif') turned ||= isTurned(bytes, data + 6);
    at += 2 + length;
  }
  return null;
}

/** Chunks of a PNG file before its pixels, each with its kind and the offset of its data. */
function* pngChunks(bytes: ByteSource): Generator<{ kind: string; data: number }> {
  for (let at = PNG_SIGNATURE.length; ; ) {
    const length = numberAt(bytes, at, 4);
    const kind = textAt(bytes, at + 4, 4);
    if (kind === 'IDAT' || !/^[A-Za-z]{4}$/.test(kind)) return;
    yield { kind, data: at + 8 };
    at += 12 + length;
  }
}

const PNG_SIGNATURE = '\x89PNG\r\n\x1a\n';

/** The size of a PNG file as it is shown: after the rotation in an eXIf chunk before its pixels. */
export function readPngSize(bytes: ByteSource): Size {
  // The first chunk is IHDR.
  const size = { width: numberAt(bytes, 16, 4), height: numberAt(bytes, 20, 4) };
  for (const { kind, data } of pngChunks(bytes))
    if (kind === 'eXIf') return isTurned(bytes, data) ? swapped(size) : size;
  return size;
}

/** Whether a file is an animated PNG: a chunk before the pixels says so. */
export function isAnimatedPng(bytes: ByteSource): boolean {
  if (textAt(bytes, 0, PNG_SIGNATURE.length) !== PNG_SIGNATURE) return false;
  for (const { kind } of pngChunks(bytes)) if (kind === 'acTL') return true;
  return false;
}

function swapped({ height, width }: Size): Size {
  return { height: width, width: height };
}

const EXIF_ORIENTATION = 0x0112;

/** Whether the EXIF data at `tiff` turn the picture by a quarter, that is, swap its sides. */
function isTurned(bytes: ByteSource, tiff: number): boolean {
  const little = numberAt(bytes, tiff, 2) === 0x4949;
  const directory = tiff + numberAt(bytes, tiff + 4, 4, little);
  const entries = numberAt(bytes, directory, 2, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    // Orientations 5…8 are those that swap the sides.
    if (numberAt(bytes, entry, 2, little) === EXIF_ORIENTATION) {
      return numberAt(bytes, entry + 8, 2, little) >= 5;
    }
  }
  return false;
}
