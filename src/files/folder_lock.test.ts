/** @file One run at a time in a folder: living, dead and silent holders. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { beforeEach, expect, it, vi } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { ConfigError } from '../errors.js';
import { FolderLock, type LockOptions } from './folder_lock.js';

const { at } = temporaryFiles();
const RUN = { file: 'run.lock', holder: 'run', setting: 'OUTPUT_DIR' };
let folder: string;
let lock: string;
beforeEach(() => {
  folder = at();
  lock = at('run.lock');
});

const options = () => ({ wait: vi.fn<NonNullable<LockOptions['wait']>>(), silenceMs: 200 });
const acquire = (changes: LockOptions = {}) => FolderLock.acquire(folder, RUN, { ...options(), ...changes });

const holder = (changes: object) =>
  writeFileSync(lock, JSON.stringify({ host: hostname(), began: '', since: 'noon', ...changes }));

/** When a process began, as Linux counts: field 22, where the second is a name in brackets. */
function beginOf(pid: number | undefined): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** A process that lives until it is told to end, and when it began as the system counts. */
async function living(): Promise<{ pid: number; began: string; end: () => Promise<unknown> }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  await new Promise((resolve) => child.on('spawn', resolve));
  const began = beginOf(child.pid);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return {
    pid: child.pid as number,
    began,
    end: () => {
      child.kill();
      return ended;
    },
  };
}

it('names process and machine, and removes its file on release', async () => {
  const held = await acquire();
  expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
  held?.release();
  held?.release();
  expect(readdirSync(folder)).toEqual([]);
});

it('refuses a folder while its holder lives, and takes it over after a kill', async () => {
  const { pid, began, end } = await living();
  holder({ pid, began });
  const refused = acquire();
  await expect(refused).rejects.toThrow(ConfigError);
  await expect(refused).rejects.toThrow(`process ${pid} on ${hostname()}, since noon`);
  await end();
  const held = await acquire();
  expect(JSON.parse(readFileSync(lock, 'utf8')).pid).toBe(process.pid);
  held?.release();
});

it('takes over if another process has the number of the dead one', async () => {
  const { pid, end } = await living();
  holder({ pid, began: '1' });
  (await acquire())?.release();
  // As in containers, where every run may be process 1.
  holder({ pid: process.pid, began: '1' });
  (await acquire())?.release();
  expect(existsSync(lock)).toBe(false);
  await end();
});

it('takes over from a dead holder that is still a zombie', async () => {
  // The shell's child ends soon, and the sleep that takes the shell's place never asks for it.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text) => resolve(Number(text))),
  );
  await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z '));
  holder({ pid, began: beginOf(pid) });
  (await acquire())?.release();
  parent.kill();
});

it('takes over from another machine after a silence, and refuses if there is a sign of life', async () => {
  holder({ host: 'elsewhere', pid: 1 });
  const waiting = options();
  const held = await acquire(waiting);
  expect(waiting.wait).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('a run on elsewhere'));
  held?.release();

  holder({ host: 'elsewhere', pid: 1 });
  const beat = setInterval(() => utimesSync(lock, new Date(), new Date()), 20);
  await expect(acquire({ silenceMs: 1000 })).rejects.toThrow(/elsewhere/);
  clearInterval(beat);
});

it('returns null as soon as the signal is aborted', async () => {
  holder({ host: 'elsewhere', pid: 1 });
  const controller = new AbortController();
  const stopping = { silenceMs: 60_000, signal: controller.signal };
  setTimeout(() => controller.abort(), 50);
  expect(await acquire(stopping)).toBeNull();
});

it('treats a broken lock like one of another machine', async () => {
  writeFileSync(lock, '{"pid": 12');
  const waiting = options();
  (await acquire(waiting))?.release();
  expect(waiting.wait).toHaveBeenCalledWith(expect.stringContaining('an unknown machine'));
});

it('takes over an empty lock, which a full disk has left, after two seconds', async () => {
  writeFileSync(lock, '');
  const waits = { ...options(), silenceMs: 60_000 };
  const begin = performance.now();
  const taken = await acquire(waits);
  expect(performance.now() - begin).toBeLessThan(20_000);
  expect(waits.wait).not.toHaveBeenCalled();
  expect(readFileSync(lock, 'utf8')).toContain(String(process.pid));
  taken?.release();
});

it('names what is in the way of the lock, and does not retry forever', async () => {
  mkdirSync(lock);
  await expect(acquire()).rejects.toThrow(
    /run\.lock: is in the way of the file that keeps a second run out, and cannot be read as one; delete it/,
  );
  expect(readdirSync(folder)).toEqual(['run.lock']);
});
