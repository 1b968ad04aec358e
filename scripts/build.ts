/**
 * @file `npm run build`: compiles the program into dist, and the set-ups of TensorFlow and CUDA beside it. With `--if-missing`, a
 * dist that another process has made in the meantime stays, because that process may be using it.
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
  await bundle(['tools/setup_tensorflow/main.ts', 'tools/setup_tensorflow/trial.ts'], 'setup_tensorflow');
  cpSync('tools/setup_tensorflow/native', join(folder, 'setup_tensorflow', 'native'), { recursive: true });
  await bundle(['tools/setup_cuda/main.ts'], 'setup_cuda');
  return true;
}

/** Bundles a set-up, which lies outside src, with the few modules of src that it uses. */
async function bundle(entryPoints: string[], name: string): Promise<void> {
  await build({
    entryPoints,
    outdir: join(folder, name),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
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
