/** @file Signals that ask a process to end, as a process gets them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../test/signals_process.ts', import.meta.url));

/** A process that is ready for signals. */
async function start() {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], { detached: true });
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
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends the process, if %s was not sent twice at once',
    async (signal) => {
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
    },
  );

  it('changes nothing if it is a hang-up, and ends the process if it is another one', async () => {
    const { child, ended, says } = await start();
    child.kill('SIGHUP');
    await says('SIGHUP');
    child.kill('SIGHUP');
    await setTimeout(200);
    expect(child.exitCode ?? child.signalCode).toBe(null);
    child.kill('SIGTERM');
    expect(await ended).toEqual([null, 'SIGTERM']);
  });
});
