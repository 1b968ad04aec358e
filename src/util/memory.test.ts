/** @file Memory where the system does not report it, as without /proc. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { availableMemory, residentMemory } from './memory.js';

it('measures memory roughly if the system does not report it', () => {
  onTestFinished(() => void vi.restoreAllMocks());
  vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
    throw new Error('ENOENT: no such file or directory, uv_resident_set_memory');
  });
  vi.spyOn(process, 'availableMemory').mockReturnValue(0);
  expect(residentMemory()).toBeGreaterThan(1e6);
  expect(availableMemory()).toBeGreaterThan(1e6);
});
