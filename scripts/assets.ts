/** @file Copies the files that the program reads at run time: everything in src that is not TypeScript. */
import { cpSync, statSync } from 'node:fs';

/** Copies the assets of the sources into the folder of a build, at the same paths. */
export function copyAssets(outDir: string): void {
  cpSync('src', outDir, {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || !path.endsWith('.ts'),
  });
}
