/** @file SIGUSR1 never opens Node's debugger, whatever command runs and however early it comes. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { start } from '../support/cli.js';
import { temporaryFiles } from '../support/temporary_files.js';

const { at, file } = temporaryFiles();

/** Whether a process has a port at which it listens. */
function listens(pid: number): boolean {
  const sockets = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      sockets.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? '');
    } catch {
      // Closed meanwhile.
    }
  }
  const LISTEN = '0A';
  return ['tcp', 'tcp6'].some((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some((fields) => fields[3] === LISTEN && sockets.has(fields[9])),
  );
}

/** A pipe at which a command waits for as long as a test wants. */
function pipe(name: string): string {
  execFileSync('mkfifo', [at(name)]);
  return at(name);
}

/** Sends SIGUSR1 to `stmixer <words>` while it reads from a pipe, and expects that nothing but the command goes on. */
async function signalAtWork(words: string[], waitsAt: string): Promise<void> {
  const { child, finished } = start(words, { PATH: `${at('bin')}${delimiter}${process.env.PATH}` });
  onTestFinished(() => void child.kill('SIGKILL'));
  // Answered when the command has opened the other end.
  const writer = await open(waitsAt, 'w');
  child.kill('SIGUSR1');
  // Whoever opens it again must not wait.
  rmSync(waitsAt);
  writeFileSync(waitsAt, '');
  await writer.close();
  const { stderr } = await finished;
  expect(stderr, words.join(' ')).not.toContain('Debugger');
}

describe.skipIf(process.platform !== 'linux')('SIGUSR1', () => {
  it('opens no debugger while a command is at work', async () => {
    mkdirSync(at('bin'));
    mkdirSync(at('videos'));
    file('videos/a.mp4', '');
    const ffmpeg = pipe('ffmpeg');
    writeFileSync(at('bin', 'ffmpeg'), `#!/bin/sh\nexec cat '${ffmpeg}'\n`);
    chmodSync(at('bin', 'ffmpeg'), 0o755);
    const labels = 'sample/annotations/label_map.pbtxt';
    const configured = ['test', 'data check'];
    const commands: [string[], string][] = [
      ...configured.map((words, i): [string[], string] => {
        const config = pipe(`config_${i}.yaml`);
        return [[...words.split(' '), '--config-file', config], config];
      }),
      [['data', 'prepare', '--videos', at('videos'), '--out', at('frames')], ffmpeg],
      [
        ['evaluate', '--ground-truth', at('c.csv'), '--predictions', at('c.csv'), '--label-map', labels],
        pipe('c.csv'),
      ],
    ];
    await Promise.all(commands.map(([words, waitsAt]) => signalAtWork(words, waitsAt)));
  }, 60_000);

  it('leaves no port open when it comes before the first line of the program', async () => {
    const labels = pipe('labels');
    const words = ['evaluate', '--ground-truth', 'x', '--predictions', 'x', '--label-map', labels];
    const child = spawn(process.execPath, ['test/support/launcher.js', ...words]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    // Node's own handler, or that of the launcher where this looks late.
    const SIGUSR1_BIT = 0x200n;
    const isHandled = () => {
      const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
      return (BigInt(`0x${caught?.[1]}`) & SIGUSR1_BIT) !== 0n;
    };
    await vi.waitUntil(isHandled, { interval: 1, timeout: 20_000 });
    child.kill('SIGUSR1');
    const writer = await open(labels, 'w');
    expect(listens(child.pid!)).toBe(false);
    await writer.close();
    await ended;
    if (stderr.includes('Debugger')) expect(stderr).toMatch(/^Debugger listening.*it is closed again\n/s);
  });
});
