/** @file Writes a result so that a full disk neither damages the earlier file nor leaves half of the new one. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../errors.js';
import { systemErrorText } from './system_errors.js';

/** Replaces a file as a whole. Throws UserError, which names the file, if the disk refuses. */
export function writeResult(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    writeFileSync(temporary, content);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new UserError(`${path}: cannot be written: ${systemErrorText(error)}`, { cause: error });
  }
}
