/** @file Appends lines to a file on a disk that may be full or unmounted for a while. */
import { appendFileSync, closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Maximum number of lines that wait for the disk. The oldest are dropped first. */
const MAX_WAITING = 10_000;

/** Appends a line. Half a line at the end, from a killed run, is closed first. */
export function appendLine(path: string, line: string): void {
  appendFileSync(path, `${isTorn(path) ? '\n' : ''}${line}\n`);
}

/** A file of lines whose failures must not end a run. */
export class LineFile {
  #waiting: string[] = [];
  #failed = false;
  /** Whether the file may end in half a line: before the first line of this run, and after one that was refused. */
  #mayBeTorn = true;

  /** `warn` is called when the disk refuses, once until it takes lines again. */
  constructor(
    readonly path: string,
    private readonly warn: (message: string) => void,
  ) {}

  /** Appends a line, or holds it for the next call if the disk refuses. */
  append(line: string): void {
    this.#waiting.push(line);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    try {
      while (this.#waiting.length > 0) {
        if (this.#mayBeTorn) appendLine(this.path, this.#waiting[0]);
        else appendFileSync(this.path, `${this.#waiting[0]}\n`);
        this.#waiting.shift();
        this.#mayBeTorn = false;
      }
      this.#failed = false;
    } catch (error) {
      this.#mayBeTorn = true;
      if (!this.#failed) {
        const { message } = error as Error;
        this.warn(`${this.path}: cannot be written: ${message}; its lines wait until it can`);
      }
      this.#failed = true;
    }
  }
}

/** Whether a file ends in the middle of a line. */
function isTorn(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const last = Buffer.alloc(1);
    return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
  } finally {
    closeSync(fd);
  }
}
