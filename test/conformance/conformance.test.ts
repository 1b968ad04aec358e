/** @file tfjs-core's own tests pass on an engine of ours. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { RECORDING_ENGINE, TEST_DEVICE } from '../support/engine.js';

/** Slightly below the number of tests: fewer passed tests mean that some were not found. */
const MIN_PASSED = 1450;

it(`passes tfjs's tests of the operations in use on ${RECORDING_ENGINE}, ${TEST_DEVICE}`, async () => {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const args = [
    '--import',
    'tsx',
    'test/conformance/run.ts',
    '--engine',
    RECORDING_ENGINE,
    '--device',
    TEST_DEVICE,
  ];
  const { code, stdout } = await promisify(execFile)(process.execPath, args, { cwd }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout, stderr }) => ({ code, stdout: `${stdout}${stderr}` }),
  );
  expect(code, stdout).toBe(0);
  expect(Number(/^(\d+) passed, 0 failed/m.exec(stdout)?.[1]), stdout).toBeGreaterThan(MIN_PASSED);
});
