/** @file Memory of tensors, process and machine. */
import { totalmem } from 'node:os';
import { expect, it, vi } from 'vitest';
import { selectEngine } from './index.js';
import { machineMemory } from './memory.js';
import { tf } from './tfjs.js';

it('counts living tensors and their bytes, and the memory of the process', async () => {
  const engine = await selectEngine({ engine: 'cpu', device: 'cpu' });
  const before = engine.memory();
  const tensor = tf.ones([1000]);
  const during = engine.memory();
  expect(during.tensors).toBe(before.tensors + 1);
  expect(during.bytes).toBe(before.bytes + 4000);
  tensor.dispose();
  expect(engine.memory().bytes).toBe(before.bytes);
  expect(during.rssBytes).toBeGreaterThan(2 ** 25);
  expect(during.peakBytes).toBeGreaterThan(2 ** 25);
  expect(during).not.toHaveProperty('gpuBytes');
});

it("reports the memory of the machine, or the limit of the process's control group", () => {
  const { totalBytes, freeBytes } = machineMemory();
  expect(totalBytes).toBeLessThanOrEqual(totalmem());
  expect(freeBytes).toBeGreaterThan(0);
  expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  const constrained = vi.spyOn(process, 'constrainedMemory');
  constrained.mockReturnValue(2 ** 28);
  expect(machineMemory().totalBytes).toBe(2 ** 28);
  // Without a limit the system reports a huge number.
  constrained.mockReturnValue(2 ** 64);
  expect(machineMemory().totalBytes).toBe(totalmem());
  constrained.mockReturnValue(0);
  expect(machineMemory().totalBytes).toBe(totalmem());
  constrained.mockRestore();
});

it('respects the limits of the control groups above its own', () => {
  const files: Record<string, string> = {
    '/proc/self/cgroup': '4:memory:/slice/job\n',
    '/proc/self/mountinfo': '33 25 0:29 / /cg rw - cgroup cgroup rw,memory\n',
    '/cg/slice/memory.limit_in_bytes': `${2 ** 27}`,
    '/cg/slice/memory.usage_in_bytes': `${2 ** 26}`,
  };
  expect(machineMemory((path) => files[path] ?? null)).toEqual({
    totalBytes: 2 ** 27,
    freeBytes: 2 ** 26,
    limitedBy: '/cg/slice/memory.limit_in_bytes',
  });
});
