/** @file Worker threads of this program. */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Extension of this file and so of all others: '.js' in the built program, '.ts' in tests and benchmarks. */
export const EXTENSION = extname(new URL(import.meta.url).pathname);

/** Starts a thread that runs `entry`; its `workerData` has the fields of `data`. */
export function startThread(
  entry: URL,
  data: object = {},
  resourceLimits?: WorkerOptions['resourceLimits'],
): Worker {
  // Node refuses some options of the main thread for others, such as --input-type.
  return new Worker(entry, { workerData: data, resourceLimits, execArgv: [] });
}
