/** @file Runs tests with the stand-in for CUDA and its kernels built with sanitizers: `sanitize.ts [FILES]`. */
import { spawnSync } from 'node:child_process';
import { sanitizerEnvironment } from './index.js';

const FILES = ['test/cuda_on_cpu', 'test/cuda/replay.test.ts'];

/** The stand-in's own tests and a short training, by themselves: what is loaded first must come before all other libraries. */
function run(files: readonly string[]): number {
  for (const file of files) {
    const env = { ...process.env, ...sanitizerEnvironment(), ...engineFor(file) };
    const { status } = spawnSync('npx', ['vitest', 'run', file], { env, stdio: 'inherit' });
    if (status !== 0) return status ?? 1;
  }
  return 0;
}

function engineFor(file: string): Record<string, string> {
  return file.startsWith('test/cuda/') ? { STMIXER_TEST_ENGINE: 'cuda' } : {};
}

const files = process.argv.slice(2);
process.exitCode = run(files.length > 0 ? files : FILES);
