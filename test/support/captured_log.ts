/** @file The log of a run whose readable lines a test looks at. */
import { RunLog } from '../../src/run/log.js';

/** A log that calls `write` with every piece of its console's output. */
export function capturedLog(write: (text: string) => void): RunLog {
  return new RunLog({ console: { write } });
}
