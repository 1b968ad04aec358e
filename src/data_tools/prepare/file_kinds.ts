/** @file What a file holds, as far as its name and first bytes tell: most files need not be shown to ffmpeg. */
import { extname } from 'node:path';
import { readPiece } from '../../files/file_pieces.js';
import { isAnimatedPngFile } from '../../media/moving_pictures.js';
import type { PassedOverKind } from './passed_over.js';

const words = (list: string) => list.trim().split(/\s+/);

const VIDEOS = new Set(
  words(`3g2 3gp 264 265 asf av1 avi divx dv f4v flv h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe
    mpeg mpg mpv mts mxf nut ogm ogv qt rm rmvb ts vob webm wmv y4m`),
);

const BY_ENDING = new Map<string, PassedOverKind>();
const ENDINGS: Partial<Record<PassedOverKind, string>> = {
  picture:
    'jpg jpeg jpe jfif png bmp tif tiff avif heic heif jp2 jxl ico svg psd ppm pgm pbm exr hdr tga dng cr2 nef arw',
  sound: 'mp3 wav m4a m4b aac flac opus wma aif aiff mka ac3 dts mid midi',
  subtitles: 'srt vtt ass ssa idx sup sbv lrc',
  text: `txt csv tsv json jsonl xml md rst html htm yaml yml toml ini cfg conf pbtxt log nfo url py js sh bat ipynb
    pdf doc docx xls xlsx ppt pptx rtf`,
  data: `zip tar gz tgz bz2 xz 7z rar zst npy npz pkl pickle pt pth ckpt onnx safetensors h5 hdf5 mat db sqlite lmdb
    tfrecord parquet torrent md5 sha1 sha256 exe dll so iso`,
  unfinished: 'part crdownload download partial !ut !qb aria2 ytdl tmp',
};
for (const [kind, list] of Object.entries(ENDINGS)) {
  for (const ending of words(list)) BY_ENDING.set(ending, kind as PassedOverKind);
}

/** Endings of videos and of programs: TypeScript. */
const AMBIGUOUS = new Set(['ts', 'mts']);

/** A kind that is passed over; `video` for what is one by its name; `ask` where only ffmpeg can tell. */
export type FileKind = PassedOverKind | 'video' | 'ask';

/** The kind of a file. Throws the error of the system where a file has to be looked into and cannot be read. */
export function kindOfFile(path: string): FileKind {
  const ending = extname(path).slice(1).toLowerCase();
  if (VIDEOS.has(ending) && !(AMBIGUOUS.has(ending) && kindOfBytes(readStart(path)) === 'text'))
    return 'video';
  // Frames of a film may be many thousands of PNG files, so only the heads of their chunks are read.
  if (ending === 'png') return isAnimatedPngFile(path) ? 'ask' : 'picture';
  const kind = BY_ENDING.get(ending) ?? kindOfBytes(readStart(path));
  return kind === 'picture' && !BY_ENDING.has(ending) && isAnimatedPngFile(path) ? 'ask' : kind;
}

const START_BYTES = 4096;

/** The first bytes of a file. Throws the error of the system. */
export function readStart(path: string): Buffer {
  return readPiece(path, 0, START_BYTES);
}

/** Signatures as latin1 text, with the kind of the files that begin so. */
const SIGNATURES: readonly (readonly [string, FileKind])[] = [
  ['\xff\xd8\xff', 'picture'],
  ['II*\0', 'picture'],
  ['MM\0*', 'picture'],
  ['%PDF', 'text'],
  ['\xff\xfe', 'text'],
  ['\xfe\xff', 'text'],
  ['ID3', 'sound'],
  ['fLaC', 'sound'],
  ['PK\x03\x04', 'data'],
  ['\x1f\x8b', 'data'],
  ['BZh', 'data'],
  ['7z\xbc\xaf', 'data'],
  ['Rar!', 'data'],
  ['\xfd7zXZ', 'data'],
  ['\x28\xb5\x2f\xfd', 'data'],
  ['\x93NUMPY', 'data'],
  ['\x89HDF', 'data'],
  ['SQLite format 3', 'data'],
  ['\x7fELF', 'data'],
  ['YUV4MPEG2', 'ask'],
];

/** Place of the bit in a WebP file that tells whether it is animated. */
const WEBP_FLAGS = 20;
const WEBP_ANIMATED = 2;

function kindOfBytes(start: Buffer): FileKind {
  const text = start.toString('latin1');
  const known = SIGNATURES.find(([signature]) => text.startsWith(signature));
  if (known) return known[1];
  if (text.startsWith('RIFF')) {
    const form = text.slice(8, 12);
    if (form === 'WAVE') return 'sound';
    const moves = text.startsWith('VP8X', 12) && (start[WEBP_FLAGS] & WEBP_ANIMATED) !== 0;
    return form === 'WEBP' && !moves ? 'picture' : 'ask';
  }
  if (text.startsWith('\x89PNG')) return 'picture';
  return isText(start) ? 'text' : 'ask';
}

/** Whether there are only characters of a text, in UTF-8 or an older encoding. */
function isText(start: Buffer): boolean {
  return start.every((byte) =>
    byte >= 0x20 ? byte !== 0x7f : byte === 0x1b || (byte >= 0x08 && byte <= 0x0d),
  );
}
