/** @file Reading parts of a file by position, with errors that name the file. */
import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { CheckpointError } from '../errors.js';
import { crc32 } from './zip/crc32.js';

const READ_CHUNK = 1 << 30;
const WINDOW_BYTES = 1 << 20;
/** Of ranges that are read piece by piece; a multiple of every element's size. */
const PIECE_BYTES = 1 << 22;

const REASONS: Record<string, string> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory, not a file',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
  EIO: 'the disk or network share failed',
};

/** Data that do not have the checksum which was recorded for them. */
export class DamagedDataError extends CheckpointError {}

/** What a system error means, in words. */
export function describeSystemError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException)?.code;
  return (code && REASONS[code]) || (error instanceof Error ? error.message : String(error));
}

/**
 * A file whose parts are read when asked for. While it is `held` one descriptor stays open; afterwards each read opens
 * the file anew (a descriptor that waited for the garbage collector would leak) and checks that it is still the same.
 */
export class FileSource {
  readonly size: number;
  readonly #identity: string;
  #held: number | null = null;

  /** Throws CheckpointError if the path is not a readable regular file. */
  constructor(readonly path: string) {
    // Not by opening it: that would wait for ever on a named pipe.
    const stats = this.#explained(() => statSync(path));
    if (stats.isDirectory()) throw new CheckpointError(`${path}: is a directory, not a file`);
    if (!stats.isFile()) throw new CheckpointError(`${path}: is not a regular file`);
    this.size = stats.size;
    this.#identity = identityOf(stats);
  }

  /** Runs `work` with the file kept open. */
  hold<T>(work: () => T): T {
    return this.#withDescriptor((fd) => {
      this.#held = fd;
      try {
        return work();
      } finally {
        this.#held = null;
      }
    });
  }

  /** `length` bytes from `offset`, in memory of their own; the range must lie inside the file. */
  read(offset: number, length: number): Buffer {
    this.#checkRange(offset, length);
    const bytes = this.#allocate(length);
    this.#fill(bytes, offset);
    return bytes;
  }

  /** A range piece by piece, in one buffer: each piece, of whole elements, is valid until the next one is asked for. */
  *pieces(offset: number, length: number): Generator<Buffer> {
    this.#checkRange(offset, length);
    const buffer = this.#allocate(Math.min(length, PIECE_BYTES));
    for (let done = 0; done < length; done += PIECE_BYTES) {
      const piece = buffer.subarray(0, Math.min(PIECE_BYTES, length - done));
      this.#fill(piece, offset + done);
      yield piece;
    }
  }

  /** CRC-32 of a range, read piece by piece. */
  crc32(offset: number, length: number): number {
    let crc = 0;
    for (const piece of this.pieces(offset, length)) crc = crc32(piece, crc);
    return crc;
  }

  #checkRange(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw new CheckpointError(
      `${this.path}: ends too early: ${length} bytes at ${offset} are missing, the file has ${this.size}`,
    );
  }

  #allocate(length: number): Buffer {
    try {
      // Slow: of its own memory, so aligned. Unsafe: not zeroed first, which would cost as much as reading.
      return Buffer.allocUnsafeSlow(length);
    } catch (error) {
      throw new CheckpointError(`${this.path}: no memory for a piece of ${length} bytes`, { cause: error });
    }
  }

  #fill(bytes: Buffer, offset: number): void {
    this.#withDescriptor((fd) => {
      if (this.#held === null && identityOf(fstatSync(fd)) !== this.#identity) {
        throw new CheckpointError(`${this.path}: was changed or replaced while it was being read`);
      }
      for (let done = 0; done < bytes.length; ) {
        const count = readSync(fd, bytes, done, Math.min(bytes.length - done, READ_CHUNK), offset + done);
        if (count === 0) throw new CheckpointError(`${this.path}: ended while it was being read`);
        done += count;
      }
    });
  }

  #withDescriptor<T>(work: (fd: number) => T): T {
    if (this.#held !== null) return work(this.#held);
    return this.#explained(() => {
      const fd = openSync(this.path, 'r');
      try {
        return work(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  #explained<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error as NodeJS.ErrnoException)?.syscall) throw error;
      throw new CheckpointError(`${this.path}: cannot be read: ${describeSystemError(error)}`, {
        cause: error,
      });
    }
  }
}

function identityOf(stats: Stats): string {
  return `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}

/** Walks through a range of a file byte by byte, a window of it in memory. */
export class ByteReader {
  #window: Buffer = Buffer.alloc(0);
  #at = 0;
  /** File position behind the window. */
  #next: number;
  readonly #end: number;

  constructor(
    readonly file: FileSource,
    offset: number,
    length: number,
  ) {
    this.#next = offset;
    this.#end = offset + length;
  }

  /** Position in the file of the byte that comes next. */
  get position(): number {
    return this.#next - (this.#window.length - this.#at);
  }

  get remaining(): number {
    return this.#end - this.position;
  }

  fail(why: string): never {
    throw new CheckpointError(
      `${this.file.path}: damaged or not a checkpoint: ${why} (at byte ${this.position})`,
    );
  }

  byte(): number {
    if (this.#at === this.#window.length) this.#load(1);
    return this.#window[this.#at++];
  }

  /** The next `count` bytes; they stay valid. */
  take(count: number): Buffer {
    if (this.#at + count > this.#window.length) this.#load(count);
    const bytes = this.#window.subarray(this.#at, this.#at + count);
    this.#at += count;
    return bytes;
  }

  /** Passes over bytes without reading them. */
  skip(count: number): void {
    if (count > this.remaining) this.fail(`${count} bytes are missing`);
    const inWindow = Math.min(count, this.#window.length - this.#at);
    this.#at += inWindow;
    if (count > inWindow) {
      this.#next += count - inWindow;
      this.#window = this.#window.subarray(0, 0);
      this.#at = 0;
    }
  }

  /** The bytes up to the next newline, without it. */
  line(): Buffer {
    for (let length = 256; ; length *= 4) {
      if (this.#at + length > this.#window.length) this.#load(Math.min(length, this.remaining));
      const newline = this.#window.indexOf(10, this.#at);
      if (newline >= 0) {
        const line = this.#window.subarray(this.#at, newline);
        this.#at = newline + 1;
        return line;
      }
      if (length > this.remaining || length > WINDOW_BYTES) this.fail('a line has no end');
    }
  }

  /** Moves the window so that it starts at the current position and holds at least `count` bytes. */
  #load(count: number): void {
    const position = this.position;
    if (count > this.#end - position || count < 1) this.fail('it ends in the middle of a value');
    const length = Math.min(Math.max(count, WINDOW_BYTES), this.#end - position);
    this.#window = this.file.read(position, length);
    this.#at = 0;
    this.#next = position + length;
  }
}
