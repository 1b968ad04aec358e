/** @file Running several executables at the same time. */
import type { CachedExecutable } from './executables.js';
import type { Buffer } from './value.js';

/** The run of an executable. */
export interface TogetherRun<B extends Buffer> {
  readonly entry: CachedExecutable<B>;
  readonly inputs: readonly B[];
  /** Inputs whose memory the results may take. */
  readonly donated?: ReadonlySet<B>;
}

/**
 * Starts all runs, waits for all of them and calls `finish` for each that succeeded, in order, with its index, results and
 * share of the time. Throws the first error of a run after that.
 */
export async function runTogether<B extends Buffer>(
  runs: readonly TogetherRun<B>[],
  finish: (run: number, results: B[], seconds: number) => void,
): Promise<void> {
  const start = performance.now();
  const outcomes = await Promise.allSettled(
    runs.map(({ entry, inputs, donated }) => entry.executable.runAsync(inputs, donated)),
  );
  const seconds = (performance.now() - start) / 1000 / runs.length;
  for (const [i, outcome] of outcomes.entries())
    if (outcome.status === 'fulfilled') finish(i, outcome.value, seconds);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
