/** @file Reads pieces of a file, and never waits for a pipe. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

/** Flags to open a file for reading. Opening must not wait for the other end of a pipe. */
export const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Reads up to `length` bytes of a file from `start`. Throws the error of the system. */
export function readPiece(path: string, start: number, length: number): Buffer {
  const fd = openSync(path, READ);
  try {
    const piece = Buffer.alloc(length);
    return piece.subarray(0, readSync(fd, piece, 0, length, start));
  } finally {
    closeSync(fd);
  }
}
