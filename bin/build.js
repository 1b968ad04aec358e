/** @file Builds a clone at its first start: with the settings of .npmrc, `npm ci` runs no scripts. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Builds the program if this is a clone with everything that a build needs. */
export function buildIfMissing() {
  if (existsSync(at('dist')) || !existsSync(at('scripts/build.ts')) || !existsSync(at('node_modules/tsx')))
    return;
  console.error('stmixer: building the program, which a clone needs once …');
  const args = ['--import', 'tsx', 'scripts/build.ts', '--if-missing'];
  // What the build prints is no part of the output of a command.
  spawnSync(process.execPath, args, { cwd: at('.'), stdio: ['ignore', 2, 2] });
}
