/** @file The system's temporary folder, named by TMPDIR. It may be missing, full or read-only. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { removeLeftovers, temporaryPrefix } from './leftovers.js';
import { systemErrorText } from './system_errors.js';

/**
 * Makes a new folder for `content`, such as "the frames of the video". Throws ConfigError, which names TMPDIR, if that fails.
 */
export function makeTemporaryFolder(content: string): string {
  try {
    removeLeftovers(tmpdir());
    return mkdtempSync(join(tmpdir(), temporaryPrefix()));
  } catch (error) {
    throw temporaryFolderError(content, error);
  }
}

/** The error for content that could not be written to the temporary folder. */
export function temporaryFolderError(content: string, error: unknown): ConfigError {
  const place = tmpdir();
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const missing = existsSync(place) ? 'it accepts no files' : 'there is no such folder';
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
