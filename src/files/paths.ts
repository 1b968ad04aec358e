/** @file Questions about paths, for any string a user may give. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Whether a file lies directly in a folder. */
export function isIn(path: string, folder: string): boolean {
  return realFolder(dirname(path)) === realFolder(folder);
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

export function isFile(path: string): boolean {
  return stateOf(path)?.isFile() === true;
}

export function isFolder(path: string): boolean {
  return stateOf(path)?.isDirectory() === true;
}

/** Undefined also for paths that no system can have, such as those with a NUL, and for links in a circle. */
export function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
