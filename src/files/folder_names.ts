/** @file The names in a folder, for whoever only wants to know what is there. */
import { readdirSync } from 'node:fs';

/** Names of the files and folders in a folder; none where it is missing, no folder, or may not be listed. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
