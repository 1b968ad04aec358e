/** @file Locks: one command of a kind at a time writes into a folder, also where several machines share it. */
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
import { numberOrNull, parseObject, readText, stringOr } from '../formats/json_lines.js';
import { NEVER_ABORTED, unlessAborted } from '../util/abort.js';
import { isRunning, processStat } from '../util/process_stat.js';

/**
 * Commands that write into a folder, with the file of their lock and the setting that names the folder. Commands that write other
 * files than each other do not get into each other's way: a run may be tested and reported while it trains.
 */
const COMMANDS = {
  train: { file: 'run.lock', setting: 'OUTPUT_DIR' },
  test: { file: 'test.lock', setting: 'OUTPUT_DIR' },
  detect: { file: 'detect.lock', setting: '--out' },
  evaluate: { file: 'evaluate.lock', setting: '--out' },
  report: { file: 'report.lock', setting: '--out' },
  'data prepare': { file: 'prepare.lock', setting: '--out' },
  'data show': { file: 'show.lock', setting: '--out' },
} as const;

export type LockingCommand = keyof typeof COMMANDS;

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
  readonly command: LockingCommand;
  /** Told why it takes time; standard error is told without it. */
  wait?(message: string): void;
  /** Ends the waiting, with null. */
  readonly signal?: AbortSignal;
  readonly silenceMs?: number;
}

const toStandardError = (message: string) => void process.stderr.write(`${message}\n`);

/** A folder that this process has for itself until `release`. */
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
   * Takes the lock of a folder, or that of a process that has died. Whether a process on another machine has, only its silence
   * tells: then this waits two minutes. Null where it was told to stop meanwhile. Throws ConfigError where a process holds it.
   */
  static acquire(folder: string, options: LockOptions & { readonly signal?: undefined }): Promise<FolderLock>;
  static acquire(folder: string, options: LockOptions): Promise<FolderLock | null>;
  static async acquire(folder: string, options: LockOptions): Promise<FolderLock | null> {
    const path = join(folder, COMMANDS[options.command].file);
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
        // Given back between the two looks, or something that is no lock.
        if (++unread > MAX_UNREAD) throw unreadable(path);
        await setTimeout(20);
        continue;
      }
      const alive = await isAlive(path, found, options);
      if (alive === null) return null;
      if (alive) throw occupied(folder, options.command, found);
      if (!removeStale(path, found)) throw occupied(folder, options.command, readText(path) ?? found);
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

/** Whether the process that wrote a lock still runs; null if `signal` was aborted before that was known. */
async function isAlive(
  path: string,
  text: string,
  { command, wait = toStandardError, signal = NEVER_ABORTED, silenceMs = SILENCE_MS }: LockOptions,
): Promise<boolean | null> {
  const { host, pid, began } = parseHolder(text);
  if (host === hostname() && pid !== null) {
    // In a container every run may have the same number: one that has ours has ended.
    if (pid === process.pid || !isRunning(pid)) return false;
    const stat = processStat(pid);
    // A process that has ended may wait for ever for its parent to notice, as in many containers.
    return stat === null || (stat.began === began && !/[ZX]/.test(stat.state));
  }
  // A process writes its lock at once; a disk that was full may have taken an empty one.
  const patience = text.trim() === '' ? Math.min(silenceMs, EMPTY_MS) : silenceMs;
  if (patience === silenceMs)
    wait(
      `${path}: ${command === 'train' ? 'a run' : `\`stmixer ${command}\``} on ${host || 'an unknown machine'} had this folder; waiting ${silenceMs / 1000} s to see whether it lives`,
    );
  // Clocks of machines differ, so its beats are compared with each other only.
  const before = modified(path);
  const end = performance.now() + patience;
  while (performance.now() < end) {
    if ((await unlessAborted(setTimeout(Math.min(1000, patience / 4), true), signal)) === null) return null;
    if (modified(path) !== before) return true;
  }
  return false;
}

/** Takes a dead process's lock away; false where another process was faster and has a new one. */
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

function occupied(folder: string, command: LockingCommand, text: string): ConfigError {
  const { host, pid, since } = parseHolder(text);
  const { file, setting } = COMMANDS[command];
  const other = command === 'train' ? 'another run' : `another \`stmixer ${command}\``;
  return new ConfigError(
    `${folder}: ${other} is writing here (process ${pid ?? '?'} on ${host || 'an unknown machine'}, since ${since || '?'}). ` +
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
