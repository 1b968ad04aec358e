/** @file The warning about too many threads that load clips. */
import { expect, it } from 'vitest';
import { fakeProbe } from '../../test/fake_probe.js';
import { workerWarnings } from './worker_warning.js';

it('says how many cores there are, where that comes from, and what to set', () => {
  const files = { '/sys/fs/cgroup/cpu.max': '150000 100000' };
  expect(workerWarnings(4, fakeProbe({ files, processors: 8 }))).toEqual([
    'DATALOADER.NUM_WORKERS 4 starts more threads than can run at once: 2, as many as the CPU quota in ' +
      '/sys/fs/cgroup/cpu.max allows (1.5). Set DATALOADER.NUM_WORKERS 2',
  ]);
  expect(workerWarnings(9, fakeProbe({ processors: 8 }))[0]).toContain(
    ': 8, as many as there are processors for this process (8). Set DATALOADER.NUM_WORKERS 8',
  );
});

it('counts cores, whatever number of threads an operation may use', () => {
  const siblings = (cpu: number) => `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
  const files = { [siblings(0)]: '0-1', [siblings(1)]: '0-1' };
  const probe = fakeProbe({ files, processors: 2, env: { STMIXER_THREADS: '8' } });
  expect(workerWarnings(2, probe)[0]).toContain(': 1, as many as this machine has cores (1). Set');
});

it('says nothing about as many threads as cores, or none', () => {
  expect(workerWarnings(8, fakeProbe({ processors: 8 }))).toEqual([]);
  expect(workerWarnings(0, fakeProbe({ processors: 1 }))).toEqual([]);
});
