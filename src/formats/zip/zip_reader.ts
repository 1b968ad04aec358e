/**
 * @file Reads the directory of a zip archive of uncompressed entries, as PyTorch writes it, zip64 included.
 *
 * Own code instead of a zip library: checkpoints are read synchronously and by position, nothing is ever extracted, and
 * every number in the file is checked against the size of the file.
 */

import { CheckpointError } from '../../errors.js';
import type { FileSource } from '../../files/file_source.js';

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

/** Maximum size of a directory, which is enough for a million storages. */
const MAX_DIRECTORY_BYTES = 128 * 1024 * 1024;

export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** The checksum of the data; 0 if PyTorch was told not to compute it. */
  readonly crc32: number;
  readonly headerOffset: number;
  /** The offset of the next entry or of the directory. Header and data end before it. */
  readonly limit: number;
}

export function looksLikeZip(file: FileSource): boolean {
  return file.size >= 4 && file.read(0, 4).readUInt32LE() === SIGNATURE.local;
}

/** Reads the entries by name, in the archive's order. Throws CheckpointError on any inconsistency. */
export function readZipDirectory(file: FileSource): Map<string, ZipEntry> {
  const { count, offset, size } = findDirectory(file);
  const directory = file.read(offset, size);
  const found: Omit<ZipEntry, 'limit'>[] = [];
  const names = new Set<string>();
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
    if (names.has(name)) return fail(file, `"${name}" is in it twice`);
    names.add(name);
    if (!isPlainName(name)) return fail(file, `"${name}" is no name for an entry`);
    const method = directory.readUInt16LE(at + 10);
    if (method !== 0 || directory.readUInt16LE(at + 8) & 1) refuseCompressed(file, name);
    const [entrySize, stored, headerOffset] = zip64Fields(
      [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)],
      directory.subarray(nameEnd, extraEnd),
    );
    if (stored !== entrySize || !(headerOffset + LOCAL_BYTES + entrySize <= offset)) {
      return fail(file, `"${name}" lies outside the file`);
    }
    found.push({ name, size: entrySize, crc32: directory.readUInt32LE(at + 16), headerOffset });
    at = end;
  }
  if (at !== size) return fail(file, `its directory has more than the ${count} entries that it claims`);
  return withLimits(file, found, offset);
}

/** Refuses entries that overlap, since a small archive could then hold any amount of data. */
function withLimits(
  file: FileSource,
  found: readonly Omit<ZipEntry, 'limit'>[],
  directoryOffset: number,
): Map<string, ZipEntry> {
  const limits = new Map<string, number>();
  let limit = directoryOffset;
  for (const entry of [...found].sort((a, b) => b.headerOffset - a.headerOffset)) {
    if (entry.headerOffset + LOCAL_BYTES + entry.size > limit) {
      return fail(file, `"${entry.name}" overlaps what comes after it`);
    }
    limits.set(entry.name, limit);
    limit = entry.headerOffset;
  }
  return new Map(found.map((entry) => [entry.name, { ...entry, limit: limits.get(entry.name)! }]));
}

/** Whether a name is relative and has no `..`. Nothing is ever extracted, but no checkpoint has other names. */
function isPlainName(name: string): boolean {
  const parts = name.split(/[/\\]/);
  return parts[0] !== '' && !/^[a-z]:/i.test(name) && !parts.includes('..') && !name.includes('\0');
}

/** The offset of an entry's data in the file. */
export function findEntryData(file: FileSource, entry: ZipEntry): number {
  const { name, size, headerOffset, limit } = entry;
  const header = file.read(headerOffset, LOCAL_BYTES);
  const nameBytes = header.readUInt16LE(26);
  const data = headerOffset + LOCAL_BYTES + nameBytes + header.readUInt16LE(28);
  if (
    header.readUInt32LE() !== SIGNATURE.local ||
    data + size > limit ||
    file.read(headerOffset + LOCAL_BYTES, nameBytes).toString('utf8') !== name
  ) {
    return fail(file, `"${name}" is not where the directory says`);
  }
  return data;
}

function findDirectory(file: FileSource): Directory {
  const tailBytes = Math.min(file.size, END_BYTES + END_COMMENT_MAX);
  const tailOffset = file.size - tailBytes;
  const tail = file.read(tailOffset, tailBytes);
  const endsAt = (at: number) =>
    tail.readUInt32LE(at) === SIGNATURE.end && at + END_BYTES + tail.readUInt16LE(at + 20) === tailBytes;
  let at = tailBytes - END_BYTES;
  while (at >= 0 && !endsAt(at)) at--;
  if (at < 0) {
    throw new CheckpointError(
      `${file.path}: is incomplete: it begins as a checkpoint, but its end is missing after ${file.size} bytes ` +
        '(an interrupted download, copy or save); get or make the file again',
    );
  }
  for (let before = at - 1; before >= 0; before--) {
    if (endsAt(before)) return fail(file, 'it has two ends, one in the comment of the other');
  }
  const plain = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  };
  const endOffset = tailOffset + at;
  const locatorOffset = endOffset - LOCATOR64_BYTES;
  const locator = locatorOffset < 0 ? null : file.read(locatorOffset, LOCATOR64_BYTES);
  if (locator?.readUInt32LE() !== SIGNATURE.locator64) return checkEnd(file, plain, endOffset);
  const end64Offset = Number(locator.readBigUInt64LE(8));
  if (end64Offset + END64_BYTES > locatorOffset)
    return fail(file, 'its zip64 directory lies outside the file');
  const end64 = file.read(end64Offset, END64_BYTES);
  if (end64.readUInt32LE() !== SIGNATURE.end64) return fail(file, 'its zip64 directory is missing');
  const large = {
    count: Number(end64.readBigUInt64LE(32)),
    size: Number(end64.readBigUInt64LE(40)),
    offset: Number(end64.readBigUInt64LE(48)),
  };
  if (
    !agree(plain.count, large.count, 0xffff) ||
    !agree(plain.size, large.size, 0xffffffff) ||
    !agree(plain.offset, large.offset, 0xffffffff)
  ) {
    return fail(file, 'its two directories contradict each other');
  }
  return checkEnd(file, large, end64Offset);
}

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

/** Checks the bounds of a directory. `end` is the offset of the record after it. */
function checkEnd(file: FileSource, directory: Directory, end: number): Directory {
  const { offset, size } = directory;
  if (size > MAX_DIRECTORY_BYTES) return fail(file, `a directory of ${size} bytes`);
  if (offset + size > file.size) return fail(file, 'its directory lies outside the file');
  if (offset + size !== end) return fail(file, 'its directory does not end where the archive does');
  return directory;
}

/** Whether a field agrees with its 64-bit value. A field is full if the value does not fit. */
function agree(short: number, long: number, full: number): boolean {
  return short === full || short === long;
}

/** Replaces full 32-bit fields by their 64-bit values from the extra field, which has them in the same order. */
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

/** The error for an entry that is not stored as a plain copy of its data. */
function refuseCompressed(file: FileSource, name: string): never {
  if (/^[^/]+\/code\//.test(name)) {
    throw new CheckpointError(
      `${file.path}: holds a program of torch.jit.save (TorchScript), whose weights are not read; in Python, load it with ` +
        'torch.jit.load, save its state_dict() with torch.save and load that file',
    );
  }
  fail(file, `"${name}" is compressed or encrypted; PyTorch writes plain entries (was it re-packed?)`);
}

function fail(file: FileSource, why: string): never {
  throw new CheckpointError(`${file.path}: damaged zip archive: ${why}`);
}
