/** @file What a file holds, judged by its name and first bytes: most files need not be shown to ffmpeg. */
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { readPiece } from '../files/file_pieces.js';
import { isAnimatedPngFile } from './animated_images.js';
import { type UnsupportedImage, unsupportedImage } from './foreign_content.js';
import { formatOf, RAW_IMAGE } from './signatures.js';
import type { SkippedKind } from './skipped_files.js';

const split = (list: string) => list.trim().split(/\s+/);

const VIDEOS = new Set(
  split(`3g2 3gp 264 265 asf av1 avi divx dv f4v flv h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe
    mpeg mpg mpv mts mxf nut ogm ogv qt rm rmvb ts vob webm wmv y4m`),
);

const EXTENSIONS: Partial<Record<SkippedKind, string>> = {
  image:
    'jpg jpeg jpe jfif png bmp tif tiff avif heic heif jp2 jxl ico svg psd ppm pgm pbm exr hdr tga dng cr2 nef arw',
  sound: 'mp3 wav m4a m4b aac flac opus wma aif aiff mka ac3 dts mid midi',
  subtitles: 'srt vtt ass ssa idx sup sbv lrc',
  text: `txt csv tsv json jsonl xml md rst html htm yaml yml toml ini cfg conf pbtxt log nfo url py js sh bat ipynb
    pdf doc docx xls xlsx ppt pptx rtf`,
  data: `zip tar gz tgz bz2 xz 7z rar zst npy npz pkl pickle pt pth ckpt onnx safetensors h5 hdf5 mat db sqlite lmdb
    tfrecord parquet torrent md5 sha1 sha256 exe dll so iso`,
  unfinished: 'part crdownload download partial !ut !qb aria2 ytdl tmp',
};
const BY_EXTENSION = new Map(
  Object.entries(EXTENSIONS).flatMap(([kind, list]) =>
    split(list).map((extension) => [extension, kind as SkippedKind] as const),
  ),
);

/** Extensions of both videos and TypeScript sources. */
const AMBIGUOUS = new Set(['ts', 'mts']);

/** A kind that is skipped; `video` for a video by its name; `ask` if only ffmpeg can tell. */
export type FileKind = SkippedKind | 'video' | 'ask';

/** Whether a file has the extension of a video. */
export function hasVideoName(path: string): boolean {
  return VIDEOS.has(extname(path).slice(1).toLowerCase());
}

/** The kind of a file; `unreadable` if its bytes are needed and cannot be read. */
export function fileKind(path: string): FileKind {
  try {
    return readableFileKind(path);
  } catch {
    return 'unreadable';
  }
}

function readableFileKind(path: string): FileKind {
  const extension = extname(path).slice(1).toLowerCase();
  if (VIDEOS.has(extension) && !(AMBIGUOUS.has(extension) && kindOfBytes(readStart(path)) === 'text'))
    return 'video';
  // A film may have thousands of PNG frames, so only the heads of their chunks are read.
  if (extension === 'png') return isAnimatedPngFile(path) ? 'ask' : 'image';
  const kind = BY_EXTENSION.get(extension) ?? kindOfBytes(readStart(path));
  return kind === 'image' && !BY_EXTENSION.has(extension) && isAnimatedPngFile(path) ? 'ask' : kind;
}

const START_BYTES = 4096;

/** The first bytes of a file. Throws the error of the operating system. */
export function readStart(path: string): Buffer {
  return readPiece(path, 0, START_BYTES);
}

/** Extensions of raw images that begin like other TIFF files. */
const RAW_TIFF = /\.(?:nef|arw|dng|pef|srw|sr2|3fr|erf|kdc|mef|mos|nrw)$/i;

/** Recognises a file with an image in a format that frames cannot have; null for anything else, and for an unreadable file. */
export function unsupportedImageFile(path: string): UnsupportedImage | null {
  try {
    if (!statSync(path).isFile()) return null;
    const format = formatOf(readStart(path));
    return unsupportedImage(format?.id === 'tiff' && RAW_TIFF.test(path) ? RAW_IMAGE : format);
  } catch {
    return null;
  }
}

/** Position of the byte in a WebP file with the bit that marks an animation. */
const WEBP_FLAGS = 20;
const WEBP_ANIMATED = 2;

function kindOfBytes(start: Buffer): FileKind {
  const format = formatOf(start);
  switch (format?.group) {
    case 'sound':
      return 'sound';
    case 'archive':
    case 'data':
      return 'data';
    case 'unsupported image':
      return 'image';
    case 'document':
      return 'text';
  }
  if (format?.id === 'jpeg' || format?.id === 'png' || format?.id === 'tiff') return 'image';
  if (format?.id === 'webp') {
    const isExtended = start.toString('latin1', 12, 16) === 'VP8X';
    return isExtended && (start[WEBP_FLAGS] & WEBP_ANIMATED) !== 0 ? 'ask' : 'image';
  }
  return isText(start) ? 'text' : 'ask';
}

/** Whether all bytes are characters of a text, in UTF-8 or an older encoding. */
function isText(start: Buffer): boolean {
  return start.every((byte) =>
    byte >= 0x20 ? byte !== 0x7f : byte === 0x1b || (byte >= 0x08 && byte <= 0x0d),
  );
}
