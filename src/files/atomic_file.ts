/**
 * @file Replaces a file as a whole: a reader sees the old content or the new one, even after a crash.
 *
 * Own code: no library streams gigabytes, syncs the folder and cleans up after a share that was away.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { CheckpointError } from '../errors.js';
import { systemErrorText } from './system_errors.js';

const BUFFER_BYTES = 1 << 20;
const WRITE_CHUNK = 1 << 30;

/** Appends to a file. Small pieces are collected; large ones are written without a copy. */
export class FileSink {
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #buffered = 0;
  #position = 0;

  constructor(readonly handle: Pick<FileHandle, 'write'>) {}

  /** Bytes written so far. */
  get position(): number {
    return this.#position;
  }

  /** Writes bytes, which must not change until the promise settles. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#position += bytes.length;
    if (this.#buffered + bytes.length > BUFFER_BYTES) await this.flush();
    if (bytes.length > BUFFER_BYTES) return this.#writeAll(bytes);
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  async flush(): Promise<void> {
    const pending = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    await this.#writeAll(pending);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const piece = bytes.subarray(done, done + WRITE_CHUNK);
      done += (await this.handle.write(piece)).bytesWritten;
    }
  }
}

/** The number of the next temporary file. Each thread counts in a range of its own. */
let temporaries = threadId * 1e9;

/** Temporary files in folders that were unmounted during a write. They reappear with the folder. */
const orphans = new Set<string>();

/**
 * Writes `path` through a temporary file in the same folder, `<path>.tmp-<pid>-<n>`, which is flushed to the disk before it
 * replaces `path`. Throws CheckpointError if the system refuses; `path` is then unchanged and the temporary file deleted.
 */
export function replaceFile(path: string, write: (sink: FileSink) => Promise<void>): Promise<void> {
  return replacePath(path, async (temporary) => {
    // Not exclusive: a killed run may have left the file, and process numbers repeat, above all in containers.
    const handle = await open(temporary, 'w');
    try {
      const sink = new FileSink(handle);
      await write(sink);
      await sink.flush();
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/** Replaces `path` as `replaceFile` does; `make` makes the temporary file itself. */
export async function replacePath(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${temporaries++}`;
  try {
    await make(temporary);
    await rename(temporary, path);
    await syncFolder(dirname(path));
    await removeOrphans(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    if (!(error as NodeJS.ErrnoException)?.syscall) throw error;
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync(dirname(path));
    if (isGone) orphans.add(temporary);
    const reason = isGone ? `the folder ${dirname(path)} does not exist` : systemErrorText(error);
    throw new CheckpointError(`${path}: cannot be written: ${reason}`, { cause: error });
  }
}

async function removeOrphans(folder: string): Promise<void> {
  for (const path of orphans) {
    if (dirname(path) !== folder) continue;
    orphans.delete(path);
    await rm(path, { force: true }).catch(() => {});
  }
}

/** Makes the rename survive a power cut. Systems that cannot sync a folder skip this. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
