/** @file Finds paths that lead to the same file. */
import { statSync } from 'node:fs';

/** Pairs of paths that lead to the same file, each with the earlier path first. */
export function sameFiles(paths: readonly string[]): [string, string][] {
  const seen = new Map<string, string>();
  return paths.flatMap((path): [string, string][] => {
    const file = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!file) return [];
    const identity = `${file.dev} ${file.ino}`;
    const earlier = seen.get(identity);
    if (earlier !== undefined) return [[earlier, path]];
    seen.set(identity, path);
    return [];
  });
}
