/** @file The engine's settings of one of several processes. */
import { expect, it } from 'vitest';
import { fakeProbe } from '../../test/support/fake_probe.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { settingsOfProcess } from './settings.js';

const local = (onSameCores: number) => ({ rank: 0, size: 4, onSameCores });

it('divides the cores among the processes that use them', () => {
  const probe = fakeProbe({ processors: 8 });
  const threads = (onSameCores: number) => settingsOfProcess(tinyConfig(), local(onSameCores), probe).threads;
  // 0 means all cores.
  expect(threads(1)).toBe(0);
  expect(threads(3)).toBe(2);
  expect(threads(16)).toBe(1);
});

it('keeps the number of threads that the user sets', () => {
  const cfg = tinyConfig({ 'ENGINE.THREADS': 5 });
  expect(settingsOfProcess(cfg, local(4), fakeProbe({ processors: 8 })).threads).toBe(5);
  const probe = fakeProbe({ processors: 8, env: { STMIXER_THREADS: '3' } });
  expect(settingsOfProcess(tinyConfig(), local(4), probe).threads).toBe(0);
});
