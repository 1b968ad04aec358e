/** @file Why an image file cannot be read, and what to do about it. All code that reads frames uses these sentences. */
import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataError } from '../../errors.js';
import { bytesOf } from '../../files/file_bytes.js';
import { readPiece } from '../../files/file_pieces.js';
import { stateOf } from '../../files/paths.js';
import { twinClause } from '../../files/twins.js';
import { EXPECTED_NAMES, foreignContent, REMAKE } from '../../media/foreign_content.js';
import { type ImageFormat, imageFormat } from '../../media/signatures.js';
import { shellWord } from '../../util/text.js';

/** The clause about a missing frame; `twin` is the result of `Twins.clause` for it. */
export function missingImage(twin: string): string {
  return `the file is missing${twin || `; ${REMAKE.image}, or correct its path in the list that names it`}`;
}

/** The error about an unreadable image file, which names the file and `what`, e.g. the video and second it belongs to. */
export function imageError(path: string, what: string, error: unknown): DataError {
  return new DataError(`${path}: ${what}: ${imageProblem(path, error)}`, { cause: error });
}

/** Examines the file again to say what is wrong with it; `error` is the error of reading or decoding it. */
function imageProblem(path: string, error: unknown): string {
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
  if (code === undefined) return `the image cannot be decoded (${message.trim()}); ${REMAKE.image}`;
  return `the file cannot be read: ${message}; check its disk or network share`;
}

function forbidden(path: string): string {
  if (isVisible(path))
    return `you have no permission to read it; let its owner run: chmod a+r ${shellWord(path)}`;
  let folder = dirname(path);
  while (!isVisible(folder)) folder = dirname(folder);
  return `you have no permission to enter ${folder}; let its owner run: chmod a+rx ${shellWord(folder)}`;
}

/** Whether the parent folder lets this user see the entry; the root is always visible. */
function isVisible(path: string): boolean {
  if (dirname(path) === path) return true;
  try {
    return lstatSync(path) !== undefined;
  } catch {
    return false;
  }
}

/** Says what is wrong with a file apart from its content; null for a file with bytes. */
export function fileProblem(path: string): string | null {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (!entry) return missingImage(twinClause(path));
  const file = stateOf(path);
  if (!file) {
    return `it is a link to ${readlinkSync(path)}, which is missing; put the file there, or replace the link with the file`;
  }
  if (file.isDirectory())
    return `it is a folder, not an image; ${REMAKE.image} under this name, or list the files in the folder`;
  if (!file.isFile()) return `it is ${special(file)}, not an image; ${REMAKE.image} under this name`;
  if (file.size === 0)
    return `the file is empty (0 bytes), as after a full disk or an interrupted copy; ${REMAKE.image}`;
  return null;
}

function special(file: Stats): string {
  return file.isFIFO() ? 'a pipe' : file.isSocket() ? 'a socket' : 'a device';
}

const HEAD_BYTES = 512;
const TAIL_BYTES = 4096;

/** Says what the file holds in place of a complete image; null if it seems complete. `message` is the decoder's. */
function contentProblem(path: string, message: string): string | null {
  const head = readPiece(path, 0, HEAD_BYTES);
  const format = imageFormat(bytesOf(head));
  if (format === null) return foreignContent(head, 'image') ?? unknownContent(head);
  const { size } = statSync(path);
  const tail = readPiece(path, Math.max(0, size - TAIL_BYTES), TAIL_BYTES);
  if (!/premature end|truncated|unexpected end/i.test(message) && !endsEarly(format, head, tail, size))
    return null;
  return `the ${NAMES[format]} image is truncated: the file ends after ${size} bytes, before the image does; ${REMAKE.image}`;
}

const NAMES: Record<ImageFormat, string> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  tiff: 'TIFF',
  gif: 'GIF',
  avif: 'AVIF',
};

/** Whether the file lacks the end marker of its format. */
function endsEarly(format: ImageFormat, head: Buffer, tail: Buffer, size: number): boolean {
  if (format === 'jpeg') return !tail.includes(Buffer.of(0xff, 0xd9));
  if (format === 'png') return !tail.includes('IEND');
  if (format === 'webp') return head.length < 8 || head.readUInt32LE(4) + 8 > size;
  if (format === 'gif') return tail.at(-1) !== 0x3b;
  return false;
}

function unknownContent(head: Buffer): string {
  return `it is not a ${EXPECTED_NAMES.image}: it begins with the bytes ${head.subarray(0, 8).toString('hex')}; ${REMAKE.image}`;
}
