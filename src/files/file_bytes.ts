/** @file The bytes of a file at any offset, read in chunks on demand. */
import { closeSync, openSync, readSync } from 'node:fs';
import { READ } from './file_pieces.js';

/** Bytes at any offset; beyond the end they read as 0. */
export interface ByteSource {
  at(offset: number): number;
}

/** Bytes in memory as a source. */
export function bytesOf(buffer: Uint8Array): ByteSource {
  return { at: (offset) => buffer[offset] ?? 0 };
}

/** Embedded previews and profiles may stand before the size, so a file is read on until it is found. */
const CHUNK_BYTES = 4096;

/** Bytes of an open file, read in chunks. */
class FileBytes implements ByteSource {
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #start = -1;
  #end = -1;

  constructor(private readonly fd: number) {}

  at(offset: number): number {
    if (offset < this.#start || offset >= this.#start + CHUNK_BYTES || this.#start < 0) {
      this.#start = offset;
      this.#end = offset + readSync(this.fd, this.#chunk, 0, CHUNK_BYTES, offset);
    }
    return offset < this.#end ? this.#chunk[offset - this.#start] : 0;
  }
}

/** Calls `use` with the bytes of a file, which is open during the call. Throws the error of the system. */
export function withFileBytes<T>(path: string, use: (bytes: ByteSource) => T): T {
  const fd = openSync(path, READ);
  try {
    return use(new FileBytes(fd));
  } finally {
    closeSync(fd);
  }
}
