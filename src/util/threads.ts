/** @file Starts worker threads. */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Extension of the program's files: '.js' in the built program, '.ts' in tests and benchmarks. */
export const EXTENSION = extname(new URL(import.meta.url).pathname);

/** Starts a thread that runs `entry` with `data` as its `workerData`. */
export function startThread(
  entry: URL,
  data: object = {},
  resourceLimits?: WorkerOptions['resourceLimits'],
): Worker {
  // Node refuses to pass some options of the main thread on to threads, such as --input-type.
  return new Worker(entry, { workerData: data, resourceLimits, execArgv: [] });
}
