/** @file Waiting for an abort. */
import { once } from 'node:events';

/** Resolves after the abort; never without a signal. */
export async function aborted(signal: AbortSignal | undefined): Promise<null> {
  if (!signal) return new Promise(() => {});
  if (!signal.aborted) await once(signal, 'abort');
  return null;
}
