/**
 * @file Compiles the sources once before all tests, so that the processes which tests start need not do it, each anew. Types
 * are not checked.
 */
import { readdirSync } from 'node:fs';
import { build } from 'esbuild';
import type { TestProject } from 'vitest/node';

/** A folder of the repository's root, as `dist` is, so that the program finds package.json. */
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
}

/** Called by the test runner before the first test. */
export default async function setup(project: TestProject): Promise<void> {
  await compile();
  project.onTestsRerun(compile);
}
