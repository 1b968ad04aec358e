/** @file The bytes of a file at any offset, read in chunks on demand. */
import { closeSync, openSync, readSync } from 'node:fs';
import { READ } from './file_pieces.js';

/** Bytes of a file at any offset; 0 after its end. */
export interface ByteSource {
  at(offset: number): number;
}

/** Bytes per chunk. Embedded previews and profiles may come before the size, so reading continues until it is found. */
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
