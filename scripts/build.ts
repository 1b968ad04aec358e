/** @file `npm run build`: compiles the program into dist, and the set-up of TensorFlow beside it. */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { build } from 'esbuild';
import { copyAssets } from './assets.js';
import { writeValidator } from './validator.js';

rmSync('dist', { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(1);
copyAssets('dist');
writeValidator('dist');
// The set-up lies outside src, so it is bundled with the few modules of src that it uses.
await build({
  entryPoints: ['tools/setup_tensorflow/main.ts', 'tools/setup_tensorflow/trial.ts'],
  outdir: 'dist/setup_tensorflow',
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
cpSync('tools/setup_tensorflow/native', 'dist/setup_tensorflow/native', { recursive: true });
