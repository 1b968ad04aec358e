/** @file Test runner settings: unit tests beside the code, goldens and end-to-end tests under test/. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Native addons (sharp, tfjs-node) want a process of their own.
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['test/build.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two workers on two cores: threads that wait for each other on a busy core are slow.
    env: { STMIXER_THREADS: process.env.STMIXER_THREADS ?? '1' },
  },
});
