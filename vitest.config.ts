/** @file Test runner settings: unit tests beside the code, goldens and end-to-end tests under test/. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Runs end-to-end tests first: they take longest, and this way both workers end at about the same time. */
class EndToEndFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isEndToEnd = ({ moduleId }: TestSpecification) => /[\\/]test[\\/]e2e[\\/]/.test(moduleId);
    return [...sorted.filter(isEndToEnd), ...sorted.filter((file) => !isEndToEnd(file))];
  }
}

export default defineConfig({
  // The examples import the package by its name.
  resolve: { alias: { stmixer: fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'],
    // Native addons (sharp, tfjs-node) need a process of their own.
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: EndToEndFirst },
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // With two workers on two cores, threads that wait for each other on a busy core would be slow.
    env: { STMIXER_THREADS: process.env.STMIXER_THREADS ?? '1' },
  },
});
