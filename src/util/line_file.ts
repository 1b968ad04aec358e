/** @file Appending lines to a file on a disk that may be full or away for a while. */
import { appendFileSync, closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Lines that wait for the disk, at most; of more the oldest are dropped. */
const MAX_WAITING = 10_000;

/** Appends a value as a line of JSON, also after half a line, which a run that was killed may have left. */
export function appendLine(path: string, value: object): void {
  appendFileSync(path, `${isTorn(path) ? '\n' : ''}${JSON.stringify(value)}\n`);
}

/** A file of JSON lines that is never worth losing a run for. */
export class LineFile {
  #waiting: object[] = [];
  #failed = false;

  /** `warn` is told when the disk refuses for the first time, and again after it took lines in between. */
  constructor(
    readonly path: string,
    private readonly warn: (message: string) => void,
  ) {}

  /** Appends a value, or keeps it for the next call if the disk refuses. */
  append(value: object): void {
    this.#waiting.push(value);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    try {
      for (let next = this.#waiting.at(0); next; next = this.#waiting.at(0)) {
        appendLine(this.path, next);
        this.#waiting.shift();
      }
      this.#failed = false;
    } catch (error) {
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
