/** @file Reading large text files line by line, and collecting what is wrong in them. */
import { closeSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { DataError } from '../errors.js';
import { twinClause } from '../files/twins.js';
import { shellWord } from '../util/text.js';

// A string cut out of a chunk keeps the whole chunk alive, so chunks are small.
const CHUNK_BYTES = 64 * 1024;

/**
 * The lines of a UTF-8 file without their ends (LF or CRLF) and without a byte order mark. `what` names the file's
 * role in the DataError that a file which cannot be read gives.
 */
export function* readLines(path: string, what: string): Generator<string> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unreadable(path, what, error);
  }
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    let atStart = true;
    for (;;) {
      let count: number;
      try {
        count = readSync(fd, chunk, 0, CHUNK_BYTES, null);
      } catch (error) {
        throw unreadable(path, what, error);
      }
      let text = rest + (count > 0 ? decoder.write(chunk.subarray(0, count)) : decoder.end());
      if (atStart && text.length > 0) {
        if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
        atStart = false;
      }
      let begin = 0;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', begin)) {
        yield text.slice(begin, end > begin && text[end - 1] === '\r' ? end - 1 : end);
        begin = end + 1;
      }
      rest = text.slice(begin);
      if (count === 0) {
        if (rest !== '') yield rest;
        return;
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** A piece of a file for an error message; a long one is cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function unreadable(path: string, what: string, error: unknown): DataError {
  return new DataError(`${path}: cannot read the ${what}: ${reason(path, error as NodeJS.ErrnoException)}`, {
    cause: error,
  });
}

function reason(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const link = lstatSync(path, { throwIfNoEntry: false });
    if (link?.isSymbolicLink())
      return `it is a link to ${readlinkSync(path)}, which is missing; put the file there`;
    return `there is no such file${twinClause(path)}`;
  }
  if (code === 'EISDIR') return 'it is a folder, not a file';
  if (code === 'EACCES' || code === 'EPERM') {
    return `you have no permission to read it; let its owner run: chmod a+r ${shellWord(path)}`;
  }
  return message;
}

/** What kind of mistake a problem is; those of one kind have one remedy. */
export type ProblemKind =
  | 'file'
  | 'columns'
  | 'empty'
  | 'box'
  | 'label'
  | 'out-of-range'
  | 'unknown-video'
  | 'missing-frame'
  | 'frame-folder';

/** Takes the problems that a parser finds; it goes on after each of them. */
export interface ProblemSink {
  readonly count: number;
  add(message: string, kind: ProblemKind): void;
}

const SHOWN = 10;

/** Everything wrong with one kind of input, so that a user sees more than the first mistake. */
export class Problems implements ProblemSink {
  readonly #shown: string[] = [];
  #count = 0;

  add(message: string): void {
    this.#count++;
    if (this.#shown.length < SHOWN) this.#shown.push(message);
  }

  get count(): number {
    return this.#count;
  }

  /** Throws one DataError with the first of them, or returns where there are none. */
  throwIfAny(): void {
    if (this.#count === 0) return;
    if (this.#count === 1) throw new DataError(this.#shown[0]);
    const more = this.#count - this.#shown.length;
    const list = this.#shown.map((message) => `\n  ${message}`).join('');
    throw new DataError(
      `${this.#count} problems in the data:${list}${more > 0 ? `\n  and ${more} more` : ''}`,
    );
  }
}

/** Runs a function that reads a file with `readLines`; that the file cannot be read becomes one of the problems. */
export function collectUnreadable(problems: ProblemSink, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    problems.add(error.message, 'file');
  }
}
