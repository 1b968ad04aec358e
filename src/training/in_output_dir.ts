/** @file Work of one command in OUTPUT_DIR: the folder, its lock, and the log of waits and aborts. */
import { FolderLock, type LockKind } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { abortText } from '../util/abort.js';
import type { Log } from '../util/log.js';

export interface OutputDirOptions {
  readonly lock: LockKind;
  readonly log: Log;
  /** Ends a wait for the lock; its reason is logged, also while `work` runs. */
  readonly signal: AbortSignal;
}

/**
 * Creates the folder if it does not exist, and does `work` while it holds the lock. Returns null if the signal ended the
 * wait for the lock. Throws ConfigError if the folder cannot be used or another process holds the lock.
 */
export async function inOutputDir<T>(
  outputDir: string,
  { lock: kind, log, signal }: OutputDirOptions,
  work: () => Promise<T>,
): Promise<T | null> {
  const announce = () => log.warn(abortText(signal));
  signal.addEventListener('abort', announce, { once: true });
  let lock: FolderLock | null = null;
  try {
    makeOutputFolder(outputDir, 'OUTPUT_DIR');
    lock = await FolderLock.acquire(outputDir, kind, { wait: (line) => log.warn(line), signal });
    return lock && (await work());
  } finally {
    lock?.release();
    signal.removeEventListener('abort', announce);
  }
}
