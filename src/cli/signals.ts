/** @file Signals in commands that have nothing to finish. */
import { StopSignals } from './process/signals.js';

/** Runs `work`. A signal meanwhile ends the process at once, with the exit code of the signal, and releases folder locks. */
export async function endingOnSignals<T>(work: () => Promise<T>): Promise<T> {
  const stop: StopSignals = new StopSignals((): never => process.exit(stop.exitCode));
  try {
    return await work();
  } finally {
    stop.close();
  }
}
