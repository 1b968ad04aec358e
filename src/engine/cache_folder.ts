/** @file The folder of files that can be made again at any time. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's cache for this program. It may not exist, and may not be writable. */
export function cacheFolder(env: Record<string, string | undefined>): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'stmixer');
}
