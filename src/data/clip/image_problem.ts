/** @file Why a file is no picture that can be read, and what to do about it: one sentence for each kind, wherever frames are read. */
import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataError } from '../../errors.js';
import { readPiece } from '../../files/file_pieces.js';
import { twinClause } from '../../files/twins.js';
import { foreignContent } from '../../media/foreign_content.js';
import { bytesOf, type PictureFormat, pictureFormat } from '../../media/image_header.js';
import { shellWord } from '../../util/text.js';

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
  if (format === null) return foreignContent(head, 'picture') ?? unknownContent(head);
  const { size } = statSync(path);
  const tail = readPiece(path, Math.max(0, size - TAIL_BYTES), TAIL_BYTES);
  if (!/premature end|truncated|unexpected end/i.test(message) && !endsEarly(format, head, tail, size))
    return null;
  return `the ${NAMES[format]} picture is cut off: the file ends after ${size} bytes, before the picture does; ${AGAIN}`;
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

function unknownContent(head: Buffer): string {
  return `it is no JPEG, PNG, WebP, TIFF, GIF or AVIF picture: it begins with the bytes ${head.subarray(0, 8).toString('hex')}; ${AGAIN}`;
}
