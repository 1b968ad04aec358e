/**
 * @file Locks: one command of a kind at a time writes into a folder, also if several machines share it.
 *
 * Own code instead of a lock library: after a kill the lock must be free at once on this machine, although process numbers
 * are used again, and after a silence on others, whose clocks may differ.
 */
import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ConfigError } from '../errors.js';
import { numberOrNull, parseObject, stringOr } from '../util/json.js';
import { isRunning, processStat } from '../util/process_stat.js';
import { readText } from '../util/read_text.js';

/** How often the holder shows that it is alive, and the silence after which a holder on another machine counts as dead. */
const BEAT_MS = 10_000;
const SILENCE_MS = 120_000;
/** The age at which an empty lock counts as one that could not be written. */
const EMPTY_MS = 2000;
/** Tries to read a lock that exists but cannot be read. */
const MAX_UNREAD = 50;

/** A kind of lock. Commands that write different files have different locks: a run may be tested while it trains. */
export interface LockKind {
  /** The name of the lock's file. */
  readonly file: string;
  /** What holds such a lock, in words, for example "run". */
  readonly holder: string;
  /** The setting that names the folder. */
  readonly setting: string;
}

/** The lock of a command for the folder that `--out` names. */
export function commandLock(
  command: 'detect' | 'evaluate' | 'report' | 'data prepare' | 'data show',
): LockKind {
  return { file: `${command.split(' ').at(-1)}.lock`, holder: `\`stmixer ${command}\``, setting: '--out' };
}

/** The holder of a lock, as its file names it. */
interface Holder {
  readonly host: string;
  readonly pid: number | null;
  /** When the process began, in the system's own unit, since process numbers are used again. Empty if unknown. */
  readonly began: string;
  readonly since: string;
}

export interface LockOptions {
  /** Receives the reason for a wait. */
  wait?(message: string): void;
  /** Ends a wait: `acquire` then returns null. */
  readonly signal?: AbortSignal;
  readonly silenceMs?: number;
}

/** A lock that this process holds until `release`. */
export class FolderLock {
  readonly #beat: NodeJS.Timeout;
  readonly #release = () => this.release();

  private constructor(
    private readonly path: string,
    private readonly text: string,
  ) {
    this.#beat = setInterval(() => this.#touch(), BEAT_MS).unref();
    process.on('exit', this.#release);
  }

  /**
   * Takes the lock of a folder, also from a process that has died. Only silence shows whether a process on another machine
   * has died, so this may wait for two minutes. Returns null if `signal` is aborted meanwhile. Throws ConfigError if a
   * process holds the lock.
   */
  static acquire(
    folder: string,
    kind: LockKind,
    options?: LockOptions & { readonly signal?: undefined },
  ): Promise<FolderLock>;
  static acquire(folder: string, kind: LockKind, options: LockOptions): Promise<FolderLock | null>;
  static async acquire(
    folder: string,
    kind: LockKind,
    options: LockOptions = {},
  ): Promise<FolderLock | null> {
    const path = join(folder, kind.file);
    const text = `${JSON.stringify({
      pid: process.pid,
      host: hostname(),
      began: processStat(process.pid)?.began ?? '',
      since: new Date().toISOString(),
    } satisfies Holder)}\n`;
    for (let unread = 0; ; ) {
      try {
        writeLock(path, text);
        return new FolderLock(path, text);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = readText(path);
      if (found === null) {
        // The lock was released in between, or it is not a file.
        if (++unread > MAX_UNREAD) throw unreadable(path);
        await setTimeout(20);
        continue;
      }
      const alive = await isAlive(path, found, kind, options);
      if (alive === null) return null;
      if (alive) throw occupied(folder, kind, found);
      if (!removeStale(path, found)) throw occupied(folder, kind, readText(path) ?? found);
    }
  }

  /** Releases the lock. May be called more than once. */
  release(): void {
    clearInterval(this.#beat);
    process.off('exit', this.#release);
    try {
      if (readFileSync(this.path, 'utf8') === this.text) rmSync(this.path);
    } catch {
      // The folder was deleted, and the lock with it.
    }
  }

  #touch(): void {
    const now = new Date();
    try {
      utimesSync(this.path, now, now);
    } catch {
      // The share is away for a while. The next beat may reach it.
    }
  }
}

/** Makes the file of a lock, whole or not at all. Throws EEXIST if it exists. */
function writeLock(path: string, text: string): void {
  const file = openSync(path, 'wx');
  try {
    writeSync(file, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function unreadable(path: string): ConfigError {
  return new ConfigError(
    `${path}: is in the way of the file that keeps a second run out, and cannot be read as one; delete it`,
  );
}

/** Whether the process that wrote a lock still runs; null if the signal came before that was known. */
async function isAlive(
  path: string,
  text: string,
  { holder }: LockKind,
  { wait, signal, silenceMs = SILENCE_MS }: LockOptions,
): Promise<boolean | null> {
  const { host, pid, began } = parseHolder(text);
  if (host === hostname() && pid !== null) {
    // In a container each run may have the same number, so a holder with our number has ended.
    if (pid === process.pid || !isRunning(pid)) return false;
    const stat = processStat(pid);
    // A process that has ended may stay a zombie if its parent never asks for it, as in many containers.
    return stat === null || (stat.began === began && !/[ZX]/.test(stat.state));
  }
  // A process writes its lock at once. An empty lock may come from a full disk.
  const patience = text.trim() === '' ? Math.min(silenceMs, EMPTY_MS) : silenceMs;
  if (patience === silenceMs) {
    const owner = `a ${holder} on ${host || 'an unknown machine'}`;
    wait?.(`${path}: ${owner} had this folder; waiting ${silenceMs / 1000} s to see whether it is alive`);
  }
  // Clocks of machines differ, so the beats are only compared with each other.
  const before = modified(path);
  const end = performance.now() + patience;
  while (performance.now() < end) {
    await setTimeout(Math.min(1000, patience / 4), undefined, { signal }).catch(() => {});
    if (signal?.aborted) return null;
    if (modified(path) !== before) return true;
  }
  return false;
}

/** Removes a dead process's lock. False if another process was faster and holds a new one. */
function removeStale(path: string, text: string): boolean {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    // Another process has removed it. The next try to make the lock decides who gets it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  const isStale = readText(aside) === text;
  try {
    if (!isStale) linkSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
  return isStale;
}

function occupied(folder: string, { file, holder, setting }: LockKind, text: string): ConfigError {
  const { host, pid, since } = parseHolder(text);
  return new ConfigError(
    `${folder}: another ${holder} is writing here (process ${pid ?? '?'} on ${host || 'an unknown machine'}, since ${since || '?'}). ` +
      `Choose another ${setting}, or wait until the other one ends; if it does not run any more, delete ${join(folder, file)}`,
  );
}

function parseHolder(text: string): Holder {
  const { pid, host, began, since } = parseObject(text) ?? {};
  return {
    pid: numberOrNull(pid),
    host: stringOr(host, ''),
    began: stringOr(began, ''),
    since: stringOr(since, ''),
  };
}

function modified(path: string): number | null {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return null;
  }
}
