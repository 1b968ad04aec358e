/** @file Worker threads of this program, built or from its sources. */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Of this file and so of all the others: '.js' once they are built, else '.ts'. */
export const EXTENSION = extname(new URL(import.meta.url).pathname);

/** Starts a thread that runs `program`; its `workerData` has the fields of `data`. */
export function startThread(
  program: URL,
  data: object = {},
  limits?: WorkerOptions['resourceLimits'],
): Worker {
  // Options of the main thread (of tsx, of a test runner) are not for this one.
  const options = { execArgv: [], resourceLimits: limits };
  return extname(program.pathname) === '.ts'
    ? new Worker(new URL('./thread_from_source.mjs', import.meta.url), {
        ...options,
        workerData: { ...data, program: program.href },
      })
    : new Worker(program, { ...options, workerData: data });
}
