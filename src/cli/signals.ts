/** @file Signals for commands that have nothing to finish. */
import { StopSignals } from './process/signals.js';

/** Runs `work`, during which a signal ends the process at once, with its exit code, and gives back the folders that it has locked. */
export async function endingOnSignals<T>(work: () => Promise<T>): Promise<T> {
  const stop: StopSignals = new StopSignals((): never => process.exit(stop.exitCode));
  try {
    return await work();
  } finally {
    stop.close();
  }
}
