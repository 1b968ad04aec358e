/** @file The warning about too many threads that load clips. */
import { mkdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { stmixerHere } from '../../test/support/cli.js';
import { fakeProbe } from '../../test/support/fake_probe.js';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { workerWarnings } from './worker_warning.js';

const { at } = temporaryFiles();

it('names the number of cores, its source, and the setting to change', () => {
  const files = { '/sys/fs/cgroup/cpu.max': '150000 100000' };
  expect(workerWarnings(4, 1, fakeProbe({ files, processors: 8 }))).toEqual([
    'DATALOADER.NUM_WORKERS 4 starts more threads than the 2 that can run at once (the CPU quota in ' +
      '/sys/fs/cgroup/cpu.max allows 1.5). Set DATALOADER.NUM_WORKERS 2',
  ]);
  expect(workerWarnings(9, 1, fakeProbe({ processors: 8 }))[0]).toContain(
    'than the 8 that can run at once (one for each processor). Set DATALOADER.NUM_WORKERS 8',
  );
});

it('counts cores, whatever the number of threads of an operation', () => {
  const siblings = (cpu: number) => `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
  const files = { [siblings(0)]: '0-1', [siblings(1)]: '0-1' };
  const probe = fakeProbe({ files, processors: 2, env: { STMIXER_THREADS: '8' } });
  expect(workerWarnings(2, 1, probe)[0]).toContain(
    'than the 1 that can run at once (one for each core). Set',
  );
});

it('divides the cores among the processes that use them', () => {
  expect(workerWarnings(3, 4, fakeProbe({ processors: 8 }))).toEqual([
    'DATALOADER.NUM_WORKERS 3 starts more threads than the 2 that can run at once (one for each processor, shared by 4 ' +
      'processes). Set DATALOADER.NUM_WORKERS 2',
  ]);
});

it('warns about neither as many workers as cores nor none', () => {
  expect(workerWarnings(8, 1, fakeProbe({ processors: 8 }))).toEqual([]);
  expect(workerWarnings(0, 1, fakeProbe({ processors: 1 }))).toEqual([]);
});

it('is printed once when a training starts', async () => {
  const overrides = [
    'DATALOADER.NUM_WORKERS',
    '5000',
    'OUTPUT_DIR',
    at('run'),
    'DATA.PATH_TO_DATA_DIR',
    at('data'),
  ];
  // The folders of the data set are looked at first, its lists later.
  for (const part of ['frames', 'frame_lists', 'annotations'])
    mkdirSync(at('data', part), { recursive: true });
  const { stdout, code } = await stmixerHere([
    'train',
    '--config-file',
    'config_files/tiny.yaml',
    ...overrides,
  ]);
  expect(stdout.match(/NUM_WORKERS 5000 starts more threads/g)).toHaveLength(1);
  expect(code).toBe(3);
});
