/** @file Reads a range of a file from begin to end, with a window of it in memory. */
import { CheckpointError } from '../errors.js';
import type { FileSource } from '../files/file_source.js';

const WINDOW_BYTES = 1 << 20;

/** Pickles of protocol 0 hold the data of an array in one line. */
const MAX_LINE_BYTES = 1 << 26;

/** A position in a range of a file, which moves forward only. */
export class ByteReader {
  #window: Buffer = Buffer.alloc(0);
  #at = 0;
  /** File position after the window. */
  #next: number;
  readonly #end: number;

  constructor(
    readonly file: FileSource,
    offset: number,
    length: number,
  ) {
    this.#next = offset;
    this.#end = offset + length;
  }

  /** Position in the file of the next byte. */
  get position(): number {
    return this.#next - (this.#window.length - this.#at);
  }

  get remaining(): number {
    return this.#end - this.position;
  }

  /** Throws CheckpointError, with the current position. */
  fail(why: string): never {
    throw new CheckpointError(
      `${this.file.path}: damaged or not a checkpoint: ${why} (at byte ${this.position})`,
    );
  }

  byte(): number {
    if (this.#at === this.#window.length) this.#load(1);
    return this.#window[this.#at++];
  }

  /** Returns the next `count` bytes, which stay valid. */
  take(count: number): Buffer {
    if (this.#at + count > this.#window.length) this.#load(count);
    const bytes = this.#window.subarray(this.#at, this.#at + count);
    this.#at += count;
    return bytes;
  }

  /** Skips bytes without reading them. */
  skip(count: number): void {
    if (count > this.remaining) this.fail(`${count} bytes are missing`);
    const inWindow = Math.min(count, this.#window.length - this.#at);
    this.#at += inWindow;
    if (count > inWindow) {
      this.#next += count - inWindow;
      this.#window = this.#window.subarray(0, 0);
      this.#at = 0;
    }
  }

  /** Returns the bytes up to the next newline, without it. */
  line(): Buffer {
    for (let length = 256; ; length *= 4) {
      if (this.#at + length > this.#window.length) this.#load(Math.min(length, this.remaining));
      const newline = this.#window.indexOf(10, this.#at);
      if (newline >= 0) {
        const line = this.#window.subarray(this.#at, newline);
        this.#at = newline + 1;
        return line;
      }
      if (length > this.remaining || length > MAX_LINE_BYTES) this.fail('a line has no end');
    }
  }

  /** Moves the window so that it starts at the current position and holds at least `count` bytes. */
  #load(count: number): void {
    const position = this.position;
    if (count > this.#end - position || count < 1) this.fail('it ends in the middle of a value');
    const length = Math.min(Math.max(count, WINDOW_BYTES), this.#end - position);
    this.#window = this.file.read(position, length);
    this.#at = 0;
    this.#next = position + length;
  }
}
