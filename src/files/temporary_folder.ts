/** @file The system's temporary folder, which TMPDIR names: it may be missing, full or read-only. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { removeLeftovers, temporaryPrefix } from './leftovers.js';
import { systemErrorText } from './system_errors.js';

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
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const missing = existsSync(place) ? 'the folder takes no files' : 'there is no such folder';
  const why = isMissing ? missing : systemErrorText(error);
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
