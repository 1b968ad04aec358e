/** @file `stmixer doctor` on this machine. */
import { expect, it, vi } from 'vitest';
import { machineReport } from '../../src/engine/machine_report.js';
import { stmixerHere } from '../support/cli.js';
import { fakeProbe } from '../support/fake_probe.js';

it('stmixer doctor prints the conditions for training as lines or JSON, and exits with 0', async () => {
  const plain = await stmixerHere(['doctor']);
  const names = [
    'Node',
    'engine',
    'threads',
    'processors',
    'control group',
    'memory',
    'TMPDIR',
    'open files',
  ];
  for (const name of [...names, 'ffmpeg', 'ffprobe'])
    expect(plain.stdout).toMatch(new RegExp(`^${name} +\\S`, 'm'));
  expect(plain).toMatchObject({ code: 0, stderr: '' });
  const { stdout } = await stmixerHere(['doctor', '--json']);
  expect(JSON.parse(stdout).map((fact: { name: string }) => fact.name)).toEqual([
    ...names,
    'ffmpeg',
    'ffprobe',
  ]);
});

it('stmixer doctor names the limits that apply, and those that may be too low', async () => {
  const files = {
    '/proc/self/cgroup': '4:cpu:/job\n',
    '/proc/self/mountinfo': '33 25 0:29 / /cg rw - cgroup cgroup rw,cpu\n',
    '/cg/job/cpu.cfs_quota_us': '50000',
    '/cg/job/cpu.cfs_period_us': '100000',
    '/proc/self/limits': 'Max open files            64                   64                   files\n',
  };
  const facts = await machineReport(fakeProbe({ files }));
  const text = (name: string) => facts.find((fact) => fact.name === name)?.text;
  expect(text('threads')).toBe('1: the CPU quota in /cg/job/cpu.cfs_quota_us allows 0.5');
  expect(text('control group')).toBe('/job');
  expect(text('open files')).toBe(
    '64 at most, which may be too few; in a new shell, ulimit -n 1024 allows more',
  );
  expect(text('ffmpeg')).toBe('not on the PATH; only videos need it');
});

it('stmixer doctor exits with 1 if training is impossible', async () => {
  vi.stubEnv('STMIXER_THREADS', 'many');
  const { code, stdout } = await stmixerHere(['doctor']).finally(() => vi.unstubAllEnvs());
  expect(stdout).toMatch(/^threads +FAILED: STMIXER_THREADS is 'many'/m);
  expect(code).toBe(1);
});
