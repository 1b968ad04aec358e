/** @file Selects the engine for each test file, and removes what the file leaves. */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import { removeFoldersOfFile } from './temporary_files.js';

/**
 * Tests that compute nothing on an engine, or select one themselves, by their path in the repository. Starting an engine takes a second
 * or more for each file.
 */
const WITHOUT_ENGINE = [
  /^(bench|tools)\//,
  /^src\/(checkpoint|cli|config|data|data_tools|detect|distributed|drawing|evaluation|files|formats|media|report|run|util)\//,
  /^src\/engine\/(cuda|gpu|onnx\/(memory|webgpu))\//,
  /^src\/engine\/(settings|threads)\./,
  /^test\/(cuda(_on_cpu|_kernels)?|distributed|soak)\//,
  // The others start processes.
  /^test\/e2e\/(?!determinism|detect|finite_difference|memory|out_of_memory|previous_run|resume|torch_resnet|torch_training)/,
  /^test\/(architecture|validator|support\/\w+)\./,
];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

beforeAll(async () => {
  const path = relative(ROOT, expect.getState().testPath ?? '').replaceAll('\\', '/');
  if (WITHOUT_ENGINE.some((pattern) => pattern.test(path))) return;
  const { selectEngine } = await import('../../src/engine/index.js');
  // Loaded here because a test file may have set STMIXER_TEST_ENGINE.
  const { TEST_DEVICE, TEST_ENGINE } = await import('./engine.js');
  await selectEngine({ engine: TEST_ENGINE, device: TEST_DEVICE, strict: true });
});

// After-hooks run in reverse order: this one comes after those of the test file, which may end processes.
afterAll(removeFoldersOfFile);
