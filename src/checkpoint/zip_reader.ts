/**
 * @file The directory of a zip archive of uncompressed entries, as PyTorch writes it, zip64 included.
 *
 * Own code instead of a zip library: checkpoints are read synchronously and by position, nothing is ever extracted, and
 * every number of a file that may lie is checked here against the size of the file.
 */

import { CheckpointError } from '../errors.js';
import type { FileSource } from './file_source.js';

const END_BYTES = 22;
const END_COMMENT_MAX = 0xffff;
const END64_BYTES = 56;
const LOCATOR64_BYTES = 20;
const CENTRAL_BYTES = 46;
export const LOCAL_BYTES = 30;

export const SIGNATURE = {
  local: 0x04034b50,
  central: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
} as const;

/** A million storages take less. */
const MAX_DIRECTORY_BYTES = 256 * 1024 * 1024;

export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Of the data; PyTorch can be told not to compute it, and then writes 0. */
  readonly crc32: number;
  readonly headerOffset: number;
}

export function looksLikeZip(file: FileSource): boolean {
  return file.size >= 4 && file.read(0, 4).readUInt32LE() === SIGNATURE.local;
}

/** The entries by name, in the archive's order. Throws CheckpointError on anything that does not fit together. */
export function readZipDirectory(file: FileSource): Map<string, ZipEntry> {
  const { count, offset, size } = findDirectory(file);
  if (size > MAX_DIRECTORY_BYTES) return fail(file, `a directory of ${size} bytes`);
  if (offset + size > file.size) return fail(file, 'its directory lies outside the file');
  const directory = file.read(offset, size);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > size || directory.readUInt32LE(at) !== SIGNATURE.central) {
      return fail(file, `entry ${i + 1} of ${count} of its directory is broken`);
    }
    const nameEnd = at + CENTRAL_BYTES + directory.readUInt16LE(at + 28);
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
    const end = extraEnd + directory.readUInt16LE(at + 32);
    if (end > size) return fail(file, `entry ${i + 1} of ${count} of its directory is cut off`);
    const name = directory.toString('utf8', at + CENTRAL_BYTES, nameEnd);
    if (entries.has(name)) return fail(file, `"${name}" is in it twice`);
    if (name.startsWith('/') || name.split('/').includes('..')) {
      return fail(file, `"${name}" is no name for an entry`);
    }
    const method = directory.readUInt16LE(at + 10);
    if (method !== 0 || directory.readUInt16LE(at + 8) & 1) {
      return fail(
        file,
        `"${name}" is compressed or encrypted; PyTorch writes plain entries (was it re-packed?)`,
      );
    }
    const [entrySize, stored, headerOffset] = zip64Fields(
      [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)],
      directory.subarray(nameEnd, extraEnd),
    );
    if (stored !== entrySize || !(headerOffset + LOCAL_BYTES + entrySize <= offset)) {
      return fail(file, `"${name}" lies outside the file`);
    }
    entries.set(name, { name, size: entrySize, crc32: directory.readUInt32LE(at + 16), headerOffset });
    at = end;
  }
  return entries;
}

/** Where the data of an entry begins in the file. */
export function findEntryData(file: FileSource, entry: ZipEntry): number {
  const header = file.read(entry.headerOffset, LOCAL_BYTES);
  const data = entry.headerOffset + LOCAL_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (header.readUInt32LE() !== SIGNATURE.local || data + entry.size > file.size) {
    return fail(file, `"${entry.name}" is not where the directory says`);
  }
  return data;
}

function findDirectory(file: FileSource): { count: number; offset: number; size: number } {
  const tailBytes = Math.min(file.size, END_BYTES + END_COMMENT_MAX);
  const tailOffset = file.size - tailBytes;
  const tail = file.read(tailOffset, tailBytes);
  let at = tailBytes - END_BYTES;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === SIGNATURE.end && at + END_BYTES + tail.readUInt16LE(at + 20) === tailBytes)
  ) {
    at--;
  }
  if (at < 0) {
    throw new CheckpointError(
      `${file.path}: is incomplete: it begins as a checkpoint, but its end is missing after ${file.size} bytes ` +
        '(an interrupted download, copy or save); get or make the file again',
    );
  }
  const plain = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  };
  const locatorOffset = tailOffset + at - LOCATOR64_BYTES;
  if (locatorOffset < 0) return plain;
  const locator = file.read(locatorOffset, LOCATOR64_BYTES);
  if (locator.readUInt32LE() !== SIGNATURE.locator64) return plain;
  const end64Offset = Number(locator.readBigUInt64LE(8));
  if (end64Offset + END64_BYTES > locatorOffset)
    return fail(file, 'its zip64 directory lies outside the file');
  const end64 = file.read(end64Offset, END64_BYTES);
  if (end64.readUInt32LE() !== SIGNATURE.end64) return fail(file, 'its zip64 directory is missing');
  return {
    count: Number(end64.readBigUInt64LE(32)),
    size: Number(end64.readBigUInt64LE(40)),
    offset: Number(end64.readBigUInt64LE(48)),
  };
}

/** Replaces 32-bit fields that are full by their 64-bit values from the extra field, which come in the same order. */
function zip64Fields(fields: number[], extra: Buffer): number[] {
  let at = 0;
  while (at + 4 <= extra.length) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      let field = at + 4;
      return fields.map((value) => {
        if (value !== 0xffffffff || field + 8 > Math.min(end, extra.length)) return value;
        field += 8;
        return Number(extra.readBigUInt64LE(field - 8));
      });
    }
    at = end;
  }
  return fields;
}

function fail(file: FileSource, why: string): never {
  throw new CheckpointError(`${file.path}: damaged zip archive: ${why}`);
}
