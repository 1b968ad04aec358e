/** @file DATALOADER.NUM_WORKERS on a machine with fewer cores. */
import { machineProbe, type Probe } from '../engine/probe.js';
import { shareOfCores } from '../engine/threads.js';

/**
 * Returns a warning if this process would load clips with more threads than can run at once, else none. `onSameCores` is the
 * number of processes that use the same cores.
 */
export function workerWarnings(numWorkers: number, onSameCores = 1, probe: Probe = machineProbe()): string[] {
  const { threads, reason } = shareOfCores(onSameCores, probe);
  if (numWorkers <= threads) return [];
  return [
    `DATALOADER.NUM_WORKERS ${numWorkers} starts more threads than the ${threads} that can run at once (${reason}). ` +
      `Set DATALOADER.NUM_WORKERS ${threads}`,
  ];
}
