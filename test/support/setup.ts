/** @file Selects the engine for each test file, and removes what the file leaves. */
import { afterAll, beforeAll, expect } from 'vitest';
import { removeFoldersOfFile } from './temporary_files.js';

/** Folders whose tests compute nothing on an engine or select one themselves; starting one takes a second for each file. */
const WITHOUT_ENGINE =
  /[\\/]engine[\\/](onnx[\\/]webgpu|cuda)[\\/]|[\\/]test[\\/]cuda(_on_cpu|_kernels)?[\\/]|[\\/]src[\\/](checkpoint|cli|config|data|data_tools|detect|drawing|evaluation|files|formats|media|report|run|util)[\\/]|[\\/]tools[\\/]/;

beforeAll(async () => {
  if (WITHOUT_ENGINE.test(expect.getState().testPath ?? '')) return;
  const { selectEngine } = await import('../../src/engine/index.js');
  // Loaded here because a test file may have set STMIXER_TEST_ENGINE.
  const { TEST_DEVICE, TEST_ENGINE } = await import('./engine.js');
  await selectEngine({ engine: TEST_ENGINE, device: TEST_DEVICE, strict: true });
});

// After-hooks run in reverse order: this one comes after those of the test file, which may end processes.
afterAll(removeFoldersOfFile);
