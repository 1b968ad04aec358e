/** @file Finds paths that lead to the same file. */
import { statSync } from 'node:fs';

/** Pairs of paths that lead to the same file, each with the earlier path first. Paths that lead to no file are left out. */
export function sameFiles(paths: readonly string[]): [string, string][] {
  const seen = new Map<string, string>();
  return paths.flatMap((path): [string, string][] => {
    const identity = identityOf(path);
    if (identity === null) return [];
    const earlier = seen.get(identity);
    if (earlier !== undefined) return [[earlier, path]];
    seen.set(identity, path);
    return [];
  });
}

function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
