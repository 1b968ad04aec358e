/** @file DATALOADER.NUM_WORKERS on a machine with fewer cores. */
import { machineProbe, type Probe } from '../engine/probe.js';
import { usableCores } from '../engine/threads.js';

/** Returns a warning where more threads would load clips than can run at once, else none. */
export function workerWarnings(numWorkers: number, probe: Probe = machineProbe()): string[] {
  const { threads, reason } = usableCores(probe);
  if (numWorkers <= threads) return [];
  return [
    `DATALOADER.NUM_WORKERS ${numWorkers} starts more threads than the ${threads} that can run at once (${reason}). ` +
      `Set DATALOADER.NUM_WORKERS ${threads}`,
  ];
}
