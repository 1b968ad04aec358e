/** @file Compiled kernels on disk, since NVRTC takes about 20 ms for each. */
import { createHash, randomUUID } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Bytes that the files may have together. */
const MAX_BYTES = 512 * 2 ** 20;
/** A file is this, the SHA-256 of the content, and the content. */
const MAGIC = Buffer.from('stmixer cubin 1\n');
const HASH_BYTES = 32;
const SUFFIX = '.cubin';

/** A folder of cubins. It is an aid only: nothing here throws, and what cannot be read or written counts as missing. */
export class CubinCache {
  constructor(
    private readonly folder: string,
    private readonly maxBytes = MAX_BYTES,
  ) {}

  /** The content of a file; null if there is none, or if it is damaged. */
  read(key: string): Uint8Array | null {
    const path = this.#path(key);
    try {
      const file = readFileSync(path);
      const start = MAGIC.length + HASH_BYTES;
      const content = file.subarray(start);
      if (!file.subarray(0, MAGIC.length).equals(MAGIC)) return null;
      if (!file.subarray(MAGIC.length, start).equals(sha256(content))) return null;
      attempt(() => utimesSync(path, new Date(), new Date()));
      return content;
    } catch {
      return null;
    }
  }

  /** Stores a file as a whole, and removes those that were not used for the longest time if there is too much. */
  write(key: string, content: Uint8Array): void {
    const path = this.#path(key);
    const temporary = `${path}.${randomUUID()}`;
    attempt(() => {
      mkdirSync(this.folder, { recursive: true });
      try {
        writeFileSync(temporary, Buffer.concat([MAGIC, sha256(content), content]));
        renameSync(temporary, path);
      } catch {
        rmSync(temporary, { force: true });
      }
      this.#prune();
    });
  }

  #path(key: string): string {
    return join(this.folder, `${key}${SUFFIX}`);
  }

  #prune(): void {
    const files = readdirSync(this.folder)
      .filter((name) => name.includes(SUFFIX))
      .map((name) => {
        const path = join(this.folder, name);
        // Another process may have removed it.
        const { size, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
        return { path, size, mtimeMs };
      })
      .sort((a, b) => b.mtimeMs - a.mtimeMs);
    let bytes = 0;
    for (const { path, size } of files) {
      bytes += size;
      if (bytes > this.maxBytes) rmSync(path, { force: true });
    }
  }
}

function sha256(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // The folder is read-only, or the disk is full.
  }
}
