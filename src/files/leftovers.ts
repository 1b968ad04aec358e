/** @file Temporary folders of processes that were killed before they could remove them. */
import { createHash } from 'node:crypto';
import { readlinkSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning } from '../util/process_stat.js';
import { namesIn } from './folder_names.js';

const PREFIX = 'stmixer-frames';

/** The beginning of the name of this process's temporary folders: it tells whose they are. */
export function temporaryPrefix(): string {
  return `${PREFIX}-${machine()}-${process.pid}-`;
}

/** Removes the folders in `place` whose processes, of this machine, have ended. */
export function removeLeftovers(place: string): void {
  const pattern = new RegExp(`^${PREFIX}-${machine()}-(\\d+)-`);
  for (const name of namesIn(place)) {
    const owner = pattern.exec(name)?.[1];
    if (owner === undefined || isRunning(Number(owner))) continue;
    try {
      rmSync(join(place, name), { recursive: true, force: true });
    } catch {
      // Another user's, or busy: the next start tries again.
    }
  }
}

/** Process ids mean something within one machine, or one container of it, but the folder may be shared by several. */
function machine(): string {
  let processes = '';
  try {
    processes = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has such names.
  }
  return createHash('sha256').update(`${hostname()} ${processes}`).digest('hex').slice(0, 8);
}
