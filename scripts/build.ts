/**
 * @file `npm run build`: compiles the program into dist, and the set-up of TensorFlow beside it. With `--if-missing`, a dist that
 * another process has made in the meantime stays, because that process may be using it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import { copyAssets } from './assets.js';
import { writeValidator } from './validator.js';

/** On the same file system as dist, so that the finished build can be moved there at once. */
const folder = join('node_modules', '.cache', `stmixer-build-${process.pid}`);

/** Returns false if there are errors, which tsc has printed. */
async function compile(): Promise<boolean> {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', folder];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) return false;
  copyAssets(folder);
  writeValidator(folder);
  const setup = join(folder, 'setup_tensorflow');
  // The set-up lies outside src, so it is bundled with the few modules of src that it uses.
  await build({
    entryPoints: ['tools/setup_tensorflow/main.ts', 'tools/setup_tensorflow/trial.ts'],
    outdir: setup,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  cpSync('tools/setup_tensorflow/native', join(setup, 'native'), { recursive: true });
  return true;
}

function install(): void {
  const mayReplace = !process.argv.includes('--if-missing');
  if (mayReplace) rmSync('dist', { recursive: true, force: true });
  try {
    if (!existsSync('dist')) renameSync(folder, 'dist');
  } catch (error) {
    if (mayReplace || !existsSync('dist')) throw error;
  }
}

try {
  if (await compile()) install();
  else process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
