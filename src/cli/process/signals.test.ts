/** @file Signals that ask a process to end, as a process gets them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { builtProgram } from '../../../test/support/built.js';
import { holdSignals, releaseSignal } from './held_signals.js';
import { StopSignals } from './signals.js';

const PROGRAM = builtProgram('signals_process');

/** A process that is ready for signals. */
async function start() {
  const child = spawn(process.execPath, [PROGRAM], { detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  const ended = once(child, 'exit');
  const says = async (text: string) => {
    while (!output.includes(text)) await setTimeout(5);
  };
  await says('ready');
  return { child, ended, says };
}

describe.skipIf(process.platform === 'win32')('a second signal', () => {
  it('ends the process if it was not sent twice at once', async () => {
    const both = async (signal: NodeJS.Signals) => {
      const { child, ended, says } = await start();
      child.kill(signal);
      // A process that does nothing else has handled the first one by then.
      await setTimeout(5);
      child.kill(signal);
      await says(signal);
      await setTimeout(200);
      expect(child.exitCode ?? child.signalCode).toBe(null);
      child.kill(signal);
      expect(await ended).toEqual([null, signal]);
    };
    await Promise.all((['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const).map(both));
  });

  it('changes nothing if the system repeats it, and ends the process if it is another signal', async () => {
    const both = async (signal: NodeJS.Signals) => {
      const { child, ended, says } = await start();
      child.kill(signal);
      await says(signal);
      child.kill(signal);
      await setTimeout(200);
      expect(child.exitCode ?? child.signalCode).toBe(null);
      child.kill('SIGTERM');
      expect(await ended).toEqual([null, 'SIGTERM']);
    };
    await Promise.all((['SIGHUP', 'SIGXCPU'] as const).map(both));
  });
});

describe('the first signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
    ['SIGUSR1', 138],
    ['SIGUSR2', 140],
    ['SIGXCPU', 152],
  ] as const)('is announced and becomes the exit code: %s', (signal, exitCode) => {
    const describe = vi.fn((name: string) => `${name}: stopping`);
    const stop = new StopSignals(describe);
    expect(stop.exitCode).toBe(0);
    process.emit(signal, signal);
    process.emit(signal, signal);
    stop.close();
    expect(describe).toHaveBeenCalledExactlyOnceWith(signal);
    expect(stop).toMatchObject({ received: true, name: signal, exitCode });
    expect(stop.signal.reason).toEqual(new Error(`${signal}: stopping`));
  });

  it('may be a SIGUSR1 that arrived before anything listened for it', async () => {
    holdSignals(['SIGHUP', 'SIGUSR1']);
    const stop = new StopSignals((name) => name);
    if (!stop.signal.aborted) await once(stop.signal, 'abort');
    expect(stop.name).toBe('SIGUSR1');
    stop.close();
    // It counts once only.
    const next = new StopSignals((name) => name);
    await setTimeout(0);
    expect(next.received).toBe(false);
    next.close();
  });

  it('always finds a listener if it is SIGUSR1, also while a new one is installed', () => {
    holdSignals();
    const removed = vi.fn();
    process.on('removeListener', removed);
    holdSignals();
    process.off('removeListener', removed);
    expect(removed).not.toHaveBeenCalled();
    releaseSignal('SIGUSR1');
  });

  it('is ignored if it is SIGUSR1 and the work that it could stop has ended', () => {
    holdSignals();
    new StopSignals((name) => name).close();
    expect(process.listenerCount('SIGUSR1')).toBe(1);
    releaseSignal('SIGUSR1');
    expect(process.listenerCount('SIGUSR1')).toBe(0);
  });
});
