/** @file Reads a file that may be missing. */
import { readFileSync } from 'node:fs';

/** Returns the text of a file, or null if it does not exist or cannot be read. */
export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
