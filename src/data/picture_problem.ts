/** @file Why a file is no picture that can be read, and what to do about it: one sentence for each kind, wherever frames are read. */
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DataError } from '../errors.js';
import { shellWord } from '../util/text.js';
import { twinClause } from '../util/twins.js';
import { bytesOf, type PictureFormat, pictureFormat } from './picture_header.js';

/** Opening must not wait for the other end of a pipe. */
export const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const AGAIN = 'extract this frame again';

/** The clause about a frame that is not there; `twin` is what `Twins.clause` says of it. */
export function missingPicture(twin: string): string {
  return `the file is missing${twin || `; ${AGAIN}, or correct its path in the list that names it`}`;
}

/** The error of a picture file that could not be read, which names it and `what`, e.g. the video and second it belongs to. */
export function pictureError(path: string, what: string, error: unknown): DataError {
  return new DataError(`${path}: ${what}: ${pictureProblem(path, error)}`, { cause: error });
}

/** Looks at the file again to say what is wrong with it; `error` is why it could not be read or decoded. */
function pictureProblem(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return forbidden(path);
  try {
    return fileProblem(path) ?? contentProblem(path, message) ?? undecodable(code, message);
  } catch (other) {
    return undecodable((other as NodeJS.ErrnoException).code, (other as Error).message);
  }
}

function undecodable(code: string | undefined, message: string): string {
  if (code === 'EACCES' || code === 'EPERM') return 'you have no permission to read it; allow it with chmod';
  if (code === undefined) return `the picture cannot be decoded (${message.trim()}); ${AGAIN}`;
  return `the file cannot be read: ${message}; see that its disk or network share is in order`;
}

function forbidden(path: string): string {
  if (isVisible(path))
    return `you have no permission to read it; let its owner run: chmod a+r ${shellWord(path)}`;
  let folder = dirname(path);
  while (!isVisible(folder)) folder = dirname(folder);
  return `you have no permission to enter ${folder}; let its owner run: chmod a+rx ${shellWord(folder)}`;
}

/** Whether the folder above lets this user see the entry; the root is always seen. */
function isVisible(path: string): boolean {
  if (dirname(path) === path) return true;
  try {
    return lstatSync(path) !== undefined;
  } catch {
    return false;
  }
}

/** Says what is wrong with the file, whatever it holds; null for one with bytes to look at. */
export function fileProblem(path: string): string | null {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (!entry) return missingPicture(twinClause(path));
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) {
    return `it is a link to ${readlinkSync(path)}, which is missing; put the file there, or replace the link by the file`;
  }
  if (file.isDirectory())
    return `it is a folder, not a picture; ${AGAIN} under this name, or list the files in the folder`;
  if (!file.isFile()) return `it is ${special(file)}, not a picture; ${AGAIN} under this name`;
  if (file.size === 0)
    return `the file is empty (0 bytes), as after a full disk or a copy that broke off; ${AGAIN}`;
  return null;
}

function special(file: Stats): string {
  return file.isFIFO() ? 'a pipe' : file.isSocket() ? 'a socket' : 'a device';
}

const HEAD_BYTES = 512;
const TAIL_BYTES = 4096;

/** Says what the file holds in place of a whole picture; null for one that seems whole. `message` is the decoder's. */
function contentProblem(path: string, message: string): string | null {
  const head = readPiece(path, 0, HEAD_BYTES);
  const format = pictureFormat(bytesOf(head));
  if (format === null) return foreignContent(head);
  const { size } = statSync(path);
  const tail = readPiece(path, Math.max(0, size - TAIL_BYTES), TAIL_BYTES);
  if (!/premature end|truncated|unexpected end/i.test(message) && !endsEarly(format, head, tail, size))
    return null;
  return `the ${NAMES[format]} picture is cut off: the file ends after ${size} bytes, before the picture does; ${AGAIN}`;
}

function readPiece(path: string, start: number, length: number): Buffer {
  const fd = openSync(path, READ);
  try {
    const piece = Buffer.alloc(length);
    return piece.subarray(0, readSync(fd, piece, 0, length, start));
  } finally {
    closeSync(fd);
  }
}

const NAMES: Record<PictureFormat, string> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  tiff: 'TIFF',
  gif: 'GIF',
  avif: 'AVIF',
};

/** Whether the mark is missing that a whole file of the format has at its end. */
function endsEarly(format: PictureFormat, head: Buffer, tail: Buffer, size: number): boolean {
  if (format === 'jpeg') return !tail.includes(Buffer.of(0xff, 0xd9));
  if (format === 'png') return !tail.includes('IEND');
  if (format === 'webp') return head.length < 8 || head.readUInt32LE(4) + 8 > size;
  if (format === 'gif') return tail.at(-1) !== 0x3b;
  return false;
}

/** Whether the first bytes of a file, one letter each, are those of a kind of file. */
type Test = (head: string) => boolean;

const begins =
  (...starts: readonly string[]): Test =>
  (head) =>
    starts.some((start) => head.startsWith(start));
const matches =
  (pattern: RegExp): Test =>
  (head) =>
    pattern.test(head);
/** A file of the family of MP4 with one of these brands. */
const brand =
  (...brands: readonly string[]): Test =>
  (head) =>
    head.slice(4, 8) === 'ftyp' && brands.some((name) => head.startsWith(name, 8));

const CONVERT = 'convert it to JPEG or PNG; its name may stay, since the content decides';
const OTHER_PICTURES: readonly (readonly [string, Test])[] = [
  ['a BMP picture', begins('BM')],
  ['a JPEG 2000 picture', begins('\0\0\0\x0cjP', '\xff\x4f\xff\x51')],
  ['a JPEG XL picture', begins('\xff\x0a', '\0\0\0\x0cJXL')],
  ['a HEIC picture', brand('hei', 'hev', 'msf1')],
  ['a Photoshop picture', begins('8BPS')],
  ['a PPM or PGM picture', matches(/^P[1-6]\s/)],
  ['an OpenEXR picture', begins('\x76\x2f\x31\x01')],
  ['an SVG drawing', matches(/^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg/is)],
  ['a NumPy array', begins('\x93NUMPY')],
];

const LOOK = 'download it again, and see what it says';
const OTHER_FILES: readonly (readonly [string, Test, string])[] = [
  [
    'a Git LFS pointer, which stands for a picture that was not downloaded',
    begins('version https://git-lfs'),
    'run git lfs pull in its repository',
  ],
  [
    'a git-annex pointer, which stands for a picture that was not downloaded',
    begins('/annex/objects/'),
    'run git annex get in its repository',
  ],
  [
    'a web page (HTML), such as a server sends in place of a picture',
    matches(/^\s*(<!--.*?-->\s*)?(<!doctype html|<html|<head)/is),
    LOOK,
  ],
  ['an XML text, such as a server sends in place of a picture', matches(/^\s*(<\?xml|<error)/i), LOOK],
  ['a JSON text, such as a server sends in place of a picture', matches(/^\s*[{[]\s*["{[\]}]/), LOOK],
  [
    'a file of macOS that accompanies another one (AppleDouble)',
    begins('\0\x05\x16\x07'),
    'copy the picture itself, and leave names that begin with "._" out of the list',
  ],
  ['a PDF document', begins('%PDF'), AGAIN],
  [
    'an archive or a compressed file',
    begins('PK\x03\x04', '\x1f\x8b', '7z\xbc\xaf', 'Rar!', 'BZh', '\xfd7zXZ', '\x28\xb5\x2f\xfd'),
    'unpack it',
  ],
  [
    'a video',
    (head) =>
      head.slice(4, 8) === 'ftyp' ||
      (head.startsWith('RIFF') && head.startsWith('AVI ', 8)) ||
      begins('\x1a\x45\xdf\xa3', 'FLV\x01', '\0\0\x01\xba')(head),
    'extract its frames with stmixer data prepare',
  ],
];

/** What a file is that is no picture of a known format. */
function foreignContent(head: Buffer): string {
  const text = head.toString('latin1');
  if (head.every((byte) => byte === 0)) {
    return `the file holds nothing but zeros, as after a crash or a full disk; ${AGAIN}`;
  }
  for (const [what, test] of OTHER_PICTURES) {
    if (test(text)) return `it is ${what}, which cannot be read; ${CONVERT}`;
  }
  for (const [what, test, remedy] of OTHER_FILES) {
    if (test(text)) return `it is ${what}; ${remedy}`;
  }
  const known = 'it is no JPEG, PNG, WebP, TIFF, GIF or AVIF picture';
  if (/^[\t\n\r\x20-\x7e]+$/.test(text)) {
    return `${known} but a text that begins with ${JSON.stringify(text.slice(0, 40))}; ${AGAIN}`;
  }
  return `${known}: it begins with the bytes ${head.subarray(0, 8).toString('hex')}; ${AGAIN}`;
}
