/** @file The system's temporary folder, which TMPDIR names: it may be missing, full or read-only. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { removeLeftovers, temporaryPrefix } from './leftovers.js';
import { ioReason } from './output_paths.js';

/**
 * Makes a new folder for `content`, such as "the frames of the video". Throws ConfigError, which names TMPDIR, where none can be
 * made.
 */
export function makeTemporaryFolder(content: string): string {
  try {
    removeLeftovers(tmpdir());
    return mkdtempSync(join(tmpdir(), temporaryPrefix()));
  } catch (error) {
    throw temporaryFolderError(content, error);
  }
}

/** An error for what could not be written there. */
export function temporaryFolderError(content: string, error: unknown): ConfigError {
  const place = tmpdir();
  const { code } = error as NodeJS.ErrnoException;
  const why = existsSync(place) && code === 'ENOENT' ? 'it takes no files' : ioReason(error);
  return new ConfigError(
    `${variable()}: ${place}: ${content} cannot be stored there: ${why}; set TMPDIR to a folder with room for them`,
    { cause: error },
  );
}

/** The variable that has named the folder. */
function variable(): string {
  const names = process.platform === 'win32' ? ['TEMP', 'TMP'] : ['TMPDIR', 'TMP', 'TEMP'];
  return names.find((name) => process.env[name]) ?? 'temporary folder';
}
