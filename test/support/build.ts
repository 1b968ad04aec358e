/** @file Compiles the sources once before all tests, for the processes that tests start. Does not check types. */
import { readdirSync, rmSync } from 'node:fs';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import type { TestProject } from 'vitest/node';
import { copyAssets } from '../../scripts/assets.js';
import { writeValidator } from '../../scripts/validator.js';
import { BUILT } from './built.js';

const OPTIONS = {
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
} satisfies BuildOptions;

async function compile(): Promise<void> {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' });
  await build({
    ...OPTIONS,
    entryPoints: files
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => `src/${file}`),
    outbase: 'src',
    outdir: BUILT,
  });
  copyAssets(BUILT);
  writeValidator(BUILT);
  const programs = readdirSync('test/support').filter((file) => /_(?:process|worker)\.ts$/.test(file));
  await build({
    ...OPTIONS,
    entryPoints: programs.map((file) => `test/support/${file}`),
    outdir: `${BUILT}/support`,
    bundle: true,
    packages: 'external',
    plugins: [compiledSources],
  });
}

/** Lets programs of test/support import the compiled modules of src. */
const compiledSources: Plugin = {
  name: 'compiled-sources',
  setup({ onResolve }) {
    const sources = /^\.\.\/\.\.\/src\//;
    onResolve({ filter: sources }, ({ path }) => ({ path: path.replace(sources, '../'), external: true }));
  },
};

/** Called by the test runner before the first test. */
export default async function setup(project: TestProject): Promise<void> {
  // Sources that are gone would be compiled into the native library, too.
  rmSync(BUILT, { recursive: true, force: true });
  await compile();
  project.onTestsRerun(compile);
}
