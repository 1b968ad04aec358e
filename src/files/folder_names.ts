/** @file The names in a folder that may be missing. */
import { readdirSync } from 'node:fs';

/** Names of the files and folders in a folder; none if it is missing, is not a folder, or cannot be listed. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
