/** @file Groups of tests that need a GPU, which may be a software GPU such as Mesa's lavapipe. */
import { describe } from 'vitest';
import { MISSING_GPU } from './missing_gpu.js';

if (MISSING_GPU) console.warn(`tests on a GPU are skipped: ${MISSING_GPU}`);

/** A group of tests that is skipped without a GPU. */
export function describeOnGpu(name: string, tests: () => void): void {
  describe.skipIf(MISSING_GPU !== '')(name, tests);
}
