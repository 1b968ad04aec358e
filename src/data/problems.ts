/** @file Problems in input files, collected so that a user sees more than the first one. */
import { DataError } from '../errors.js';

/** Kinds of problems; problems of one kind have one remedy. */
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

/** Receives the problems that a parser finds; the parser continues after each of them. */
export interface ProblemSink {
  readonly count: number;
  add(message: string, kind: ProblemKind): void;
}

const SHOWN = 10;

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

  /** Throws one DataError with the first problems, if there are any, and with advice that concerns all of them. */
  throwIfAny(advice?: string): void {
    if (this.#count === 0) return;
    if (this.#count === 1)
      throw new DataError(`${this.#shown[0]}${advice === undefined ? '' : `; ${advice}`}`);
    const more = this.#count - this.#shown.length;
    const list = this.#shown.map((message) => `\n  ${message}`).join('');
    throw new DataError(
      `${this.#count} problems in the data:${list}${more > 0 ? `\n  and ${more} more` : ''}` +
        (advice === undefined ? '' : `\n  → ${advice}`),
    );
  }
}

/** Runs a function that reads a file; if the file cannot be read, that becomes one of the problems. */
export function collectUnreadable(problems: ProblemSink, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    problems.add(error.message, 'file');
  }
}

/** Part of a file for an error message; a long one is cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
