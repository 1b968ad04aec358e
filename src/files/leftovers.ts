/** @file Temporary folders of processes that were killed before they could remove them. */
import { createHash } from 'node:crypto';
import { readlinkSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning } from '../util/process_stat.js';
import { namesIn } from './folder_names.js';

const PREFIX = 'stmixer-frames';

/** The beginning of the names of this process's temporary folders, which identifies the process. */
export function temporaryPrefix(): string {
  return `${PREFIX}-${machine()}-${process.pid}-`;
}

/** Removes temporary folders in `place` whose processes have ended, for processes of this machine only. */
export function removeLeftovers(place: string): void {
  const pattern = new RegExp(`^${PREFIX}-${machine()}-(\\d+)-`);
  for (const name of namesIn(place)) {
    const owner = pattern.exec(name)?.[1];
    if (owner === undefined || isRunning(Number(owner))) continue;
    try {
      rmSync(join(place, name), { recursive: true, force: true });
    } catch {
      // The folder belongs to another user or is busy. The next start tries again.
    }
  }
}

/** Identifies the machine or container, as process ids are unique only there and the folder may be shared. */
function machine(): string {
  let processes = '';
  try {
    processes = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has namespaces.
  }
  return createHash('sha256').update(`${hostname()} ${processes}`).digest('hex').slice(0, 8);
}
