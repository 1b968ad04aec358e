/** @file The names in a folder that may be missing. */
import { type Dirent, readdirSync } from 'node:fs';

/** Names of the files and folders in a folder; none if it is missing, is not a folder, or cannot be listed. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The entries of a folder, sorted by name. Throws the error of the operating system. */
export function sortedEntries(folder: string): Dirent[] {
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}
