/** @file Output and exit codes of `stmixer engine`, with a check that is made up. */
import { afterEach, expect, it, vi } from 'vitest';
import { stmixerHere } from '../../test/support/cli.js';
import type { CheckListener, CheckReport } from '../engine_check/check.js';

const FAMILY = {
  family: { name: 'matrix products', tolerance: { norm: 1e-5, largest: 1e-5 }, reason: 'float32', cases: [] },
  ok: false,
  deterministic: false,
  difference: { norm: 0.01, largest: Number.POSITIVE_INFINITY },
  cases: [],
  failures: ['matrix products, [2, 3]·[3, 2]: error 1.0e-2'],
  seconds: 0.1,
};

const RATE = { unit: 'GB/s', rate: 12.345, seconds: 0.1 } as const;

const REPORT = {
  families: [FAMILY],
  training: { ok: true, deterministic: true, torch: '2.0', steps: 5, kinds: [], failures: [], seconds: 1 },
  speed: {
    rates: {
      copy: { ...RATE, name: 'add 1 to 64 MiB' },
      matMul: { ...RATE, name: '[256, 256]·[256, 256]' },
      attention: { ...RATE, name: '64 tokens' },
    },
    step: null,
    share: null,
    problem: 'no memory',
  },
  memory: { bytes: 0, tensors: 0, rssBytes: 2 ** 30, peakBytes: 2 ** 31, gpuBytes: 3 * 2 ** 30 },
  failures: [...FAMILY.failures, 'speed: no memory'],
  warnings: ['matrix products: two runs give different results'],
  seconds: 3,
};

/** Replaces the check by one that finds `changes` to the report above. */
function pretend(changes: Partial<CheckReport>): void {
  vi.doMock('../engine_check/check.js', () => ({
    checkEngine: async (engine: CheckReport['engine'], listener: CheckListener) => {
      listener.begin('matrix products');
      listener.end({ kind: 'family', outcome: FAMILY });
      listener.end({ kind: 'training', outcome: REPORT.training });
      listener.end({ kind: 'speed', outcome: REPORT.speed });
      return { ...REPORT, engine, ...changes };
    },
  }));
}

afterEach(() => {
  vi.doUnmock('../engine_check/check.js');
  vi.resetModules();
});

const CHECK = ['engine', 'check', '--engine', 'cpu'];

it('engine check lists what differs, line by line, and exits with 1', async () => {
  pretend({});
  const { code, stdout } = await stmixerHere(CHECK);
  expect(code).toBe(1);
  const lines = stdout.split('\n');
  expect(lines).toEqual([
    expect.stringMatching(/^cpu: plain JavaScript/),
    '',
    expect.stringMatching(/^✗ matrix products +0 cases {2}error 1\.0e-2, at most 1e-5 +0\.1 s$/),
    expect.stringMatching(/^✓ 5 training steps of a tiny model, compared with PyTorch 2\.0 +1\.0 s$/),
    '✗ speed: no memory',
    '    copy           12.3 GB/s  add 1 to 64 MiB',
    '    product        12.3 GB/s  [256, 256]·[256, 256]',
    '    attention      12.3 GB/s  64 tokens',
    'memory: process 1.00 GiB, peak 2.00 GiB, GPU 3.00 GiB in use',
    'warning: matrix products: two runs give different results',
    '',
    '✗ 2 failures (3 s):',
    '  matrix products, [2, 3]·[3, 2]: error 1.0e-2',
    '  speed: no memory',
    '',
  ]);
  // The seconds are below each other.
  expect(lines[2].length).toBe(lines[3].length);
});

it('engine check exits with 0 if nothing differs, even if two runs differ', async () => {
  pretend({ failures: [] });
  const { code, stdout } = await stmixerHere(CHECK);
  expect(code).toBe(0);
  expect(stdout).toMatch(/\n✓ the engine computes correctly \(3 s\)\n$/);
});

it('engine check --json prints one object, with null for infinite differences', async () => {
  pretend({});
  const { code, stdout } = await stmixerHere([...CHECK, '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    engine: { engine: 'cpu', device: 'cpu', threads: 1 },
    families: [
      {
        name: 'matrix products',
        tolerance: { norm: 1e-5, largest: 1e-5 },
        deterministic: false,
        difference: { norm: 0.01, largest: null },
      },
    ],
    memory: { rss_bytes: 2 ** 30, gpu_bytes: 3 * 2 ** 30 },
    failures: REPORT.failures,
    warnings: REPORT.warnings,
  });
});

it('engine list prints every engine and device as lines or JSON, and exits with 0', async () => {
  const { code, stdout } = await stmixerHere(['engine', 'list']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^✓ cpu\/cpu +plain JavaScript/m);
  const listed = JSON.parse((await stmixerHere(['engine', 'list', '--json'])).stdout);
  expect(listed.at(-1)).toMatchObject({ engine: 'cpu', device: 'cpu', usable: true, problems: [] });
  expect(listed.filter(({ auto }: { auto: boolean }) => auto)).toHaveLength(1);
});
