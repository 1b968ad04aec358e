/** @file The number of threads follows the settings, or else the machine and the limits of its control groups. */
import { expect, it } from 'vitest';
import { fakeProbe } from '../../test/support/fake_probe.js';
import { EngineError } from '../errors.js';
import { chooseCoreThreads, chooseThreads, resolveThreads } from './threads.js';

const CGROUP = '/sys/fs/cgroup/cpu.max';

it.each([
  [{}, '', 8],
  [{}, 'max 100000\n', 8],
  [{}, '250000 100000\n', 3],
  [{}, '1600000 100000\n', 8],
  [{ STMIXER_THREADS: '12' }, '100000 100000\n', 12],
  [{ TF_NUM_INTRAOP_THREADS: '5' }, '', 5],
  [{ STMIXER_THREADS: '3', TF_NUM_INTRAOP_THREADS: '5' }, '', 3],
  [{ STMIXER_THREADS: '', TF_NUM_INTRAOP_THREADS: '0' }, '', 8],
])('with %j and cpu.max %j, uses %i threads', (env, quota, expected) => {
  const files: Record<string, string> = quota ? { [CGROUP]: quota } : {};
  expect(chooseThreads(fakeProbe({ env, files, processors: 8 })).threads).toBe(expected);
});

it.each(['0', '-2', '1.5', 'many'])('refuses STMIXER_THREADS=%s', (value) => {
  const probe = fakeProbe({ env: { STMIXER_THREADS: value } });
  expect(() => chooseThreads(probe)).toThrow(EngineError);
  expect(() => chooseThreads(probe)).toThrow(`STMIXER_THREADS is '${value}'`);
});

it.each([
  ['two logical processors to a core', { cpu0: '0-1', cpu1: '0-1', cpu2: '2-3', cpu3: '2-3' }, {}, 2],
  ['one to a core', { cpu0: '0', cpu1: '1', cpu2: '2', cpu3: '3' }, {}, 4],
  ['a system that does not say', {}, {}, 4],
  ['a setting', { cpu0: '0-1', cpu1: '0-1' }, { STMIXER_THREADS: '4' }, 4],
])('uses one thread for each core: with %s', (_, siblings, env, expected) => {
  const folder = '/sys/devices/system/cpu';
  const files = Object.fromEntries(
    Object.entries(siblings).map(([cpu, list]) => [
      `${folder}/${cpu}/topology/thread_siblings_list`,
      `${list}\n`,
    ]),
  );
  const probe = fakeProbe({ env, files, processors: 4 });
  expect(chooseCoreThreads(probe).threads).toBe(expected);
});

it.each<[string, string, Record<string, string>, number]>([
  ['set by STMIXER_THREADS or ENGINE.THREADS', '3', {}, 3],
  ['one for each processor', '', {}, 8],
  ['the CPU quota in /sys/fs/cgroup/cpu.max allows 0.5', '', { [CGROUP]: '50000 100000' }, 1],
  [
    'the cpuset in /sys/fs/cgroup/cpuset.cpus.effective allows 3',
    '',
    { '/sys/fs/cgroup/cpuset.cpus.effective': '0-1,7\n' },
    3,
  ],
])('reports why it chose the number: %s', (reason, setting, files, threads) => {
  const probe = fakeProbe({ env: { STMIXER_THREADS: setting }, files, processors: 8 });
  expect(chooseThreads(probe)).toEqual({ threads, reason });
});

it.each([
  [0, {}, null],
  [4, {}, 4],
  [4, { TF_NUM_INTRAOP_THREADS: '5' }, 4],
  [4, { STMIXER_THREADS: '2' }, 2],
  [0, { TF_NUM_INTRAOP_THREADS: '5' }, 5],
  [0, { TF_NUM_INTRAOP_THREADS: 'many' }, null],
])('resolves a request of %i threads with %j to %j', (requested, env, threads) => {
  expect(resolveThreads(requested, env)?.threads ?? null).toBe(threads);
});
