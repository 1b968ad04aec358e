/** @file `stmixer doctor` on this machine. */
import { expect, it, vi } from 'vitest';
import { machineReport, withoutPrivateData } from '../../src/engine/machine_report.js';
import { stmixerHere } from '../support/cli.js';
import { fakeProbe } from '../support/fake_probe.js';

const NAMES = [
  ...['stmixer', 'Node', 'libraries', 'system', 'processor', 'engine'],
  ...[
    'cuda/cuda',
    'tensorflow/cuda',
    'onnx/gpu',
    'onnx/cpu',
    'tensorflow/cpu',
    'cpu/cpu',
    'GPUs',
    'threads',
    'processors',
    'control group',
  ],
  ...[
    'memory',
    'current folder',
    'TMPDIR',
    'open files',
    'ffmpeg',
    'ffprobe',
    'video encoders',
    'locale',
    'terminal',
  ],
];

it('stmixer doctor prints everything about the machine as lines or JSON, and exits with 0', async () => {
  const plain = await stmixerHere(['doctor']);
  for (const name of NAMES) expect(plain.stdout).toMatch(new RegExp(`^ *${name} +\\S`, 'm'));
  expect(plain.stdout).toMatch(/^ +cpu\/cpu +usable$/m);
  expect(plain).toMatchObject({ code: 0, stderr: '' });
  const { stdout } = await stmixerHere(['doctor', '--json']);
  expect(JSON.parse(stdout).map((fact: { name: string }) => fact.name)).toEqual(NAMES);
});

it('stmixer doctor describes processor, system, libraries, GPUs and what an engine lacks', async () => {
  const files = {
    '/etc/os-release': 'NAME=x\nPRETTY_NAME="Some Linux 3"\n',
    '/proc/cpuinfo': 'processor : 0\nflags\t\t: fpu avx2 amx_bf16 sse\n',
    '/nm/onnxruntime-node/package.json': '{"version":"9.8.7"}',
  };
  const facts = await machineReport(
    fakeProbe({ files, nvidiaSmi: 'NVIDIA X, 80 GiB\n', env: { LANG: 'de_DE.UTF-8' } }),
  );
  const text = (name: string) => facts.find((fact) => fact.name.trim() === name)?.text;
  expect(text('system')).toMatch(/ x64, Some Linux 3$/);
  expect(text('processor')).toMatch(/, instruction sets: avx2 amx_bf16$/);
  expect(text('libraries')).toBe('onnxruntime-node 9.8.7, @tensorflow/tfjs not installed');
  expect(text('GPUs')).toBe('NVIDIA X, 80 GiB');
  expect(text('locale')).toMatch(/^de_DE\.UTF-8, /);
  expect(text('tensorflow/cpu')).toMatch(/^(usable|not usable: .*)$/);
});

it('stmixer doctor names no person, machine, home folder or container', () => {
  const owner = { home: '/data/people/ann', host: 'gpu-box', user: 'ann' };
  const id = '0123456789abcdef';
  expect(
    withoutPrivateData(`/data/people/ann/x on gpu-box in /docker/${id} of /tmp/ann and /home/bob/y`, owner),
  ).toBe('~/x on HOST in /docker/ID of /tmp/USER and /home/USER/y');
  expect(withoutPrivateData('annual /data/people/anna gpu-boxes', owner)).toBe(
    'annual /data/people/anna gpu-boxes',
  );
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
  expect(text('control group')).toBe('/job; limits: CPU quota 0.5');
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
