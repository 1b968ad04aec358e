/** @file Reads parts of a file by position, with errors that name the file. */
import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { CheckpointError } from '../errors.js';
import { systemErrorText } from './system_errors.js';

const READ_CHUNK = 1 << 30;
/** Bytes per piece of a range that is read in pieces; a multiple of every element's size. */
const PIECE_BYTES = 1 << 22;

/**
 * A file whose parts are read on demand. Inside `hold` one descriptor stays open. Outside, each read opens the file
 * again, since an open descriptor would leak until garbage collection, and checks that the file is still the same.
 */
export class FileSource {
  readonly size: number;
  readonly #identity: string;
  #held: number | null = null;

  /** Throws CheckpointError if the path is not a readable regular file. */
  constructor(readonly path: string) {
    // Opening a named pipe would wait forever.
    const stats = this.#explained(() => statSync(path));
    if (stats.isDirectory()) throw new CheckpointError(`${path}: is a folder, not a file`);
    if (!stats.isFile()) throw new CheckpointError(`${path}: is not a regular file`);
    this.size = stats.size;
    this.#identity = identityOf(stats);
  }

  /** Runs `work` with the file kept open. May be nested. */
  hold<T>(work: () => T): T {
    if (this.#held !== null) return work();
    return this.#withDescriptor((fd) => {
      this.#held = fd;
      try {
        return work();
      } finally {
        this.#held = null;
      }
    });
  }

  /** Reads `length` bytes from `offset` into new memory. The range must lie inside the file. */
  read(offset: number, length: number): Buffer {
    this.#checkRange(offset, length);
    const bytes = this.#allocate(length);
    this.#fill(bytes, offset);
    return bytes;
  }

  /** Reads a range piece by piece into one buffer. Each piece holds whole elements and is valid until the next one. */
  *pieces(offset: number, length: number): Generator<Buffer> {
    this.#checkRange(offset, length);
    const buffer = this.#allocate(Math.min(length, PIECE_BYTES));
    for (let done = 0; done < length; done += PIECE_BYTES) {
      const piece = buffer.subarray(0, Math.min(PIECE_BYTES, length - done));
      this.#fill(piece, offset + done);
      yield piece;
    }
  }

  #checkRange(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw new CheckpointError(
      `${this.path}: ends too early: ${length} bytes at ${offset} are missing, the file has ${this.size}`,
    );
  }

  #allocate(length: number): Buffer {
    try {
      // "Slow" memory is not pooled and so is aligned. "Unsafe" memory is not zeroed, which would take as long as reading.
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
      throw new CheckpointError(`${this.path}: cannot be read: ${systemErrorText(error)}`, {
        cause: error,
      });
    }
  }
}

function identityOf(stats: Stats): string {
  return `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}
