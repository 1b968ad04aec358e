/** @file One run at a time in a folder: living, dead and silent holders. */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ConfigError } from '../errors.js';
import { FolderLock, type LockOptions } from './folder_lock.js';

let folder: string;
let lock: string;
const options = () => ({
  command: 'train' as const,
  wait: vi.fn<NonNullable<LockOptions['wait']>>(),
  silenceMs: 200,
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stmixer-lock-'));
  lock = join(folder, 'run.lock');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

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

it('names process and machine, and is gone after release', async () => {
  const held = await FolderLock.acquire(folder, options());
  expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
  held?.release();
  held?.release();
  expect(readdirSync(folder)).toEqual([]);
});

it('is refused while its holder lives, and taken over when that was killed', async () => {
  const { pid, began, end } = await living();
  holder({ pid, began });
  const refused = FolderLock.acquire(folder, options());
  await expect(refused).rejects.toThrow(ConfigError);
  await expect(refused).rejects.toThrow(`process ${pid} on ${hostname()}, since noon`);
  await end();
  const held = await FolderLock.acquire(folder, options());
  expect(JSON.parse(readFileSync(lock, 'utf8')).pid).toBe(process.pid);
  held?.release();
});

it('is taken over where another process has got the number of the dead one', async () => {
  const { pid, end } = await living();
  holder({ pid, began: '1' });
  (await FolderLock.acquire(folder, options()))?.release();
  // As in containers, where every run may be process 1.
  holder({ pid: process.pid, began: '1' });
  (await FolderLock.acquire(folder, options()))?.release();
  expect(existsSync(lock)).toBe(false);
  await end();
});

it('is taken over where the dead holder is left as a zombie', async () => {
  // The shell's child ends soon, and the sleep that takes the shell's place never asks for it.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text) => resolve(Number(text))),
  );
  await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z '));
  holder({ pid, began: beginOf(pid) });
  (await FolderLock.acquire(folder, options()))?.release();
  parent.kill();
});

it('of another machine is taken over after a silence, refused at a sign of life', async () => {
  holder({ host: 'elsewhere', pid: 1 });
  const waiting = options();
  const held = await FolderLock.acquire(folder, waiting);
  expect(waiting.wait).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('a run on elsewhere'));
  held?.release();

  holder({ host: 'elsewhere', pid: 1 });
  const beat = setInterval(() => utimesSync(lock, new Date(), new Date()), 20);
  await expect(FolderLock.acquire(folder, { ...options(), silenceMs: 1000 })).rejects.toThrow(/elsewhere/);
  clearInterval(beat);
});

it('is not waited for longer than it takes to be told to stop', async () => {
  holder({ host: 'elsewhere', pid: 1 });
  const stopping = { ...options(), silenceMs: 60_000, signal: AbortSignal.abort() };
  expect(await FolderLock.acquire(folder, stopping)).toBeNull();
});

it('is readable as a whole or not there: a broken one counts as one of another machine', async () => {
  writeFileSync(lock, '{"pid": 12');
  const waiting = options();
  (await FolderLock.acquire(folder, waiting))?.release();
  expect(waiting.wait).toHaveBeenCalledWith(expect.stringContaining('an unknown machine'));
});

it('takes an empty lock, which a full disk has left, after two seconds', async () => {
  writeFileSync(lock, '');
  const waits = { ...options(), silenceMs: 60_000 };
  const begin = performance.now();
  const taken = await FolderLock.acquire(folder, waits);
  expect(performance.now() - begin).toBeLessThan(20_000);
  expect(waits.wait).not.toHaveBeenCalled();
  expect(readFileSync(lock, 'utf8')).toContain(String(process.pid));
  taken!.release();
});

it('names what is in the way of the lock, and does not try for ever', async () => {
  mkdirSync(lock);
  await expect(FolderLock.acquire(folder, options())).rejects.toThrow(
    /run\.lock: is in the way of the file that keeps a second run out, and cannot be read as one; delete it/,
  );
  expect(readdirSync(folder)).toEqual(['run.lock']);
});
