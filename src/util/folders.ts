/** @file Folders that a user names. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { UserError } from '../errors.js';

/** Makes a folder for results. Throws UserError that names the flag where nothing can be written there. */
export function makeFolder(folder: string, flag: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? 'there is a file in the way'
        : code === 'EACCES' || code === 'EROFS'
          ? 'nothing can be written there'
          : message;
    throw new UserError(`${flag}: ${folder}: the folder for the results cannot be used: ${why}`, {
      cause: error,
    });
  }
}
