/** @file Compiles the sources once before all tests, for the processes that tests start. Does not check types. */
import { readdirSync } from 'node:fs';
import { build } from 'esbuild';
import type { TestProject } from 'vitest/node';
import { copyAssets } from '../../scripts/assets.js';

/** Lies in the repository's root, like `dist`, so that the program finds package.json. */
const BUILT = '.vitest';

async function compile(): Promise<void> {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' });
  await build({
    entryPoints: files
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => `src/${file}`),
    outbase: 'src',
    outdir: BUILT,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  copyAssets(BUILT);
}

/** Called by the test runner before the first test. */
export default async function setup(project: TestProject): Promise<void> {
  await compile();
  project.onTestsRerun(compile);
}
