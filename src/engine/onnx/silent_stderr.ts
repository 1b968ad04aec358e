/** @file Keeps native code from writing to standard error. */
import { closeSync, openSync } from 'node:fs';
import { loadLibrary } from '../../util/native/load_library.js';

const STDERR = 2;

/** Does `work`, which must be synchronous; what native code writes to standard error meanwhile is lost. Not on Windows. */
export function withoutStderr<T>(work: () => T): T {
  if (process.platform === 'win32') return work();
  const libc = loadLibrary(null);
  const dup = libc.func('int dup(int fd)');
  const dup2 = libc.func('int dup2(int from, int to)');
  const saved = dup(STDERR) as number;
  if (saved < 0) return work();
  const nowhere = openSync('/dev/null', 'w');
  dup2(nowhere, STDERR);
  try {
    return work();
  } finally {
    dup2(saved, STDERR);
    closeSync(saved);
    closeSync(nowhere);
  }
}
