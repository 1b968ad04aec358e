/** @file Takes the place of src/util/threads.ts in tests: threads run the compiled program. With tsx, each would start a compiler. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import * as real from '../../src/util/threads.js';
import { BUILT } from './built.js';

export const EXTENSION = real.EXTENSION;

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));

export function startThread(entry: URL, ...options: [data?: object, resourceLimits?: object]): Worker {
  return real.startThread(compiled(entry), ...options);
}

/** The compiled file of a source; any other entry as it is. */
function compiled(entry: URL): URL {
  if (entry.protocol !== 'file:') return entry;
  const path = fileURLToPath(entry);
  return path.startsWith(SOURCES)
    ? pathToFileURL(path.replace(SOURCES, BUILT).replace(/\.ts$/, '.js'))
    : entry;
}
