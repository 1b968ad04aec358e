/** @file OUTPUT_DIR/run.lock: one run at a time in a folder, also where several machines share it. */
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
import { numberOrNull, parseObject, readText, stringOr } from '../util/json_lines.js';
import { processStat } from '../util/process_stat.js';

const LOCK = 'run.lock';
/** How often the holder shows that it lives, and after how long without that a holder on another machine is dead. */
const BEAT_MS = 10_000;
const SILENCE_MS = 120_000;
/** After how long an empty lock is one that could not be written. */
const EMPTY_MS = 2000;
/** Locks in a row that are there but cannot be read. */
const MAX_UNREAD = 50;

/** Who holds a lock, as its file says. */
interface Holder {
  readonly host: string;
  readonly pid: number | null;
  /** When the process began, in the system's own unit: process numbers are used again. Empty where it is not known. */
  readonly began: string;
  readonly since: string;
}

export interface LockOptions {
  /** Told why it takes time. */
  wait(message: string): void;
  /** Ends the waiting, with null. */
  readonly arrival: Promise<null>;
  readonly silenceMs?: number;
}

/** A folder that this process has for itself until `release`. */
export class RunLock {
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
   * Takes the lock of a folder, or that of a run that has died. Whether a run on another machine has, only its silence
   * tells: then this waits two minutes. Null where it was told to stop meanwhile. Throws ConfigError where a run is going on.
   */
  static async acquire(folder: string, options: LockOptions): Promise<RunLock | null> {
    const path = join(folder, LOCK);
    const text = `${JSON.stringify({
      pid: process.pid,
      host: hostname(),
      began: processStat(process.pid)?.began ?? '',
      since: new Date().toISOString(),
    } satisfies Holder)}\n`;
    for (let unread = 0; ; ) {
      try {
        writeLock(path, text);
        return new RunLock(path, text);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = readText(path);
      if (found === null) {
        // Given back between the two looks, or something that is no lock.
        if (++unread > MAX_UNREAD) throw unreadable(path);
        await setTimeout(20);
        continue;
      }
      const alive = await isAlive(path, found, options);
      if (alive === null) return null;
      if (alive) throw occupied(folder, path, found);
      if (!removeStale(path, found)) throw occupied(folder, path, readText(path) ?? found);
    }
  }

  /** Gives the folder back; more than once is fine. */
  release(): void {
    clearInterval(this.#beat);
    process.off('exit', this.#release);
    try {
      if (readFileSync(this.path, 'utf8') === this.text) rmSync(this.path);
    } catch {
      // The folder has gone: there is nothing to give back.
    }
  }

  #touch(): void {
    const now = new Date();
    try {
      utimesSync(this.path, now, now);
    } catch {
      // A share that is away for a while; the next beat may reach it.
    }
  }
}

/** Makes the file of a lock, whole or not at all. Throws EEXIST where there is one. */
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

/** Whether the process that wrote a lock still runs; null where `arrival` came before that was known. */
async function isAlive(
  path: string,
  text: string,
  { wait, arrival, silenceMs = SILENCE_MS }: LockOptions,
): Promise<boolean | null> {
  const { host, pid, began } = parseHolder(text);
  if (host === hostname() && pid !== null) {
    // In a container every run may have the same number: one that has ours has ended.
    if (pid === process.pid || !exists(pid)) return false;
    const stat = processStat(pid);
    // A process that has ended may wait for ever for its parent to notice, as in many containers.
    return stat === null || (stat.began === began && !/[ZX]/.test(stat.state));
  }
  // A process writes its lock at once; a disk that was full may have taken an empty one.
  const patience = text.trim() === '' ? Math.min(silenceMs, EMPTY_MS) : silenceMs;
  if (patience === silenceMs)
    wait(
      `${path}: a run on ${host || 'an unknown machine'} had this folder; waiting ${silenceMs / 1000} s to see whether it lives`,
    );
  // Clocks of machines differ, so its beats are compared with each other only.
  const before = modified(path);
  const end = performance.now() + patience;
  while (performance.now() < end) {
    const stopped = await Promise.race([arrival, setTimeout(Math.min(1000, patience / 4), false)]);
    if (stopped === null) return null;
    if (modified(path) !== before) return true;
  }
  return false;
}

/** Takes a dead run's lock away; false where another process was faster and has a new one. */
function removeStale(path: string, text: string): boolean {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    // Somebody else has taken it away; who gets the folder then is decided when the new lock is made.
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

function occupied(folder: string, path: string, text: string): ConfigError {
  const { host, pid, since } = parseHolder(text);
  return new ConfigError(
    `${folder}: another run is writing here (process ${pid ?? '?'} on ${host || 'an unknown machine'}, since ${since || '?'}). ` +
      `Give this run another OUTPUT_DIR, or end the other one; if it does not run any more, delete ${path}`,
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

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function modified(path: string): number | null {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return null;
  }
}
