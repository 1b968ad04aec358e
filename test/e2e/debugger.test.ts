/** @file SIGUSR1 never leaves Node's debugger open, whichever command runs and however early the signal comes. */
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

/** Whether a process listens at a port. */
function listens(pid: number): boolean {
  const sockets = new Set<string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      sockets.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? '');
    } catch {
      // The file was closed in the meantime.
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

/** Makes a pipe, at which a command waits until the test writes. */
function pipe(name: string): string {
  execFileSync('mkfifo', [at(name)]);
  return at(name);
}

/** Sends SIGUSR1 to `stmixer <args>` while it reads from a pipe. Returns what it prints on standard error. */
async function outputAfterSignal(args: string[], waitsAt: string): Promise<string> {
  const { child, finished } = start(args, { PATH: `${at('bin')}${delimiter}${process.env.PATH}` });
  onTestFinished(() => void child.kill('SIGKILL'));
  // Resolves when the command has opened the other end.
  const writer = await open(waitsAt, 'w');
  child.kill('SIGUSR1');
  // A file in its place keeps later readers from waiting.
  rmSync(waitsAt);
  writeFileSync(waitsAt, '');
  await writer.close();
  return (await finished).stderr;
}

describe.skipIf(process.platform !== 'linux')('SIGUSR1', () => {
  it('opens no debugger while a command is working', async () => {
    mkdirSync(at('bin'));
    mkdirSync(at('videos'));
    file('videos/a.mp4', '');
    const ffmpeg = pipe('ffmpeg');
    writeFileSync(at('bin', 'ffmpeg'), `#!/bin/sh\nexec cat '${ffmpeg}'\n`);
    chmodSync(at('bin', 'ffmpeg'), 0o755);
    const labels = 'sample/annotations/label_map.pbtxt';
    const configured = ['test', 'data check'];
    const commands: [string[], string][] = [
      ...configured.map((args, i): [string[], string] => {
        const config = pipe(`config_${i}.yaml`);
        return [[...args.split(' '), '--config-file', config], config];
      }),
      [['data', 'prepare', '--videos', at('videos'), '--out', at('frames')], ffmpeg],
      [
        ['evaluate', '--ground-truth', at('c.csv'), '--predictions', at('c.csv'), '--label-map', labels],
        pipe('c.csv'),
      ],
    ];
    const outputs = await Promise.all(commands.map(([args, waitsAt]) => outputAfterSignal(args, waitsAt)));
    expect(outputs.filter((text) => text.includes('Debugger'))).toEqual([]);
  }, 60_000);

  it('leaves no port open if it arrives before the first line of the program', async () => {
    const labels = pipe('labels');
    const args = ['evaluate', '--ground-truth', 'x', '--predictions', 'x', '--label-map', labels];
    const child = spawn(process.execPath, ['test/support/launcher.js', ...args]);
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    // The handler is Node's, or the launcher's if the process is already further.
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
