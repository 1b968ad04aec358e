/** @file Helpers for AbortSignal. */

/** A signal that is never aborted. */
export const NEVER_ABORTED: AbortSignal = new AbortController().signal;

/**
 * Resolves to the result of `work`, or to null as soon as `signal` is aborted. The work itself continues. Rejects if `work`
 * rejects.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  let stop = () => {};
  const aborted = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Message of the reason for which the signal was aborted. */
export function abortText(signal: AbortSignal): string {
  const { reason } = signal;
  return reason instanceof Error ? reason.message : String(reason);
}
