/**
 * @file Repeats work that a disk refuses: full disks are cleared, and network shares come back.
 *
 * Own code instead of a retry library: which errors of the system can pass is the larger part of it.
 */
import { setTimeout } from 'node:timers/promises';
import { CheckpointError } from '../errors.js';

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;

/** Errors that do not go away by waiting. */
const PERMANENT = new Set(['EISDIR', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EXDEV']);

/** Whether another try may succeed. */
function isPassing(error: unknown): error is CheckpointError {
  if (!(error instanceof CheckpointError)) return false;
  const { code = '' } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return !PERMANENT.has(code);
}

/**
 * Runs `work`, and repeats it for `seconds`, with growing pauses, while it fails with a CheckpointError that may pass.
 * `onFailure` is called with each error after which there is another try. Throws the last error.
 */
export async function retry<T>(
  work: () => Promise<T>,
  seconds: number,
  onFailure: (error: CheckpointError) => void,
): Promise<T> {
  const end = performance.now() + 1000 * seconds;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      const left = end - performance.now();
      if (!isPassing(error) || left <= 0) throw error;
      onFailure(error);
      // The last try is at the very end.
      await setTimeout(Math.min(pause, left));
    }
  }
}
