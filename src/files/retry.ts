/** @file Trying again where a disk refuses: full ones are cleared, shares come back. */
import { setTimeout } from 'node:timers/promises';
import { CheckpointError } from '../errors.js';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** Refusals that waiting does not change. */
const PERMANENT = new Set(['EISDIR', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EXDEV']);

/** Whether another try may go better. */
function isPassing(error: unknown): error is CheckpointError {
  if (!(error instanceof CheckpointError)) return false;
  const { code = '' } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return !PERMANENT.has(code);
}

/**
 * The result of `work`, which is repeated for `seconds` while it fails with a CheckpointError that may pass, after pauses
 * that become longer. `onFailure` is told of every failure after which there is another try. Throws the last error.
 */
export async function retry<T>(
  work: () => Promise<T>,
  seconds: number,
  onFailure: (error: CheckpointError) => void,
): Promise<T> {
  const end = performance.now() + 1000 * seconds;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
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
