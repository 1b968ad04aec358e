/** @file Writes an event file of TensorBoard, every record at once. */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type EventContent,
  encodeEvent,
  FILE_VERSION,
  imageValue,
  SESSION_START,
  type SummaryValue,
  textValue,
} from './event_format.js';
import { makeHistogram } from './histogram.js';
import { frameRecord } from './records.js';

/**
 * Appends records to a file of its own in a folder. When a call returns, its record is in the file as a whole, whatever
 * becomes of the process then. A call that throws (a full disk) leaves the file as it was, and later ones may succeed.
 */
export class EventWriter {
  readonly #file: number;
  #size = 0;

  /**
   * Makes the folder and a new file in it. Steps from `firstStep` on that earlier files of the folder hold are
   * superseded: TensorBoard no longer shows them.
   */
  constructor(folder: string, firstStep: number) {
    mkdirSync(folder, { recursive: true });
    this.#file = createFile(folder);
    this.#write({ file_version: FILE_VERSION }, 0);
    this.#write(SESSION_START, firstStep);
  }

  scalar(tag: string, value: number, step: number): void {
    this.#summary({ tag, simple_value: value }, step);
  }

  /** An RGB picture. */
  image(tag: string, png: Uint8Array, width: number, height: number, step: number): void {
    this.#summary(imageValue(tag, png, width, height), step);
  }

  histogram(tag: string, values: Float32Array, step: number): void {
    this.#summary({ tag, histo: makeHistogram(values) }, step);
  }

  text(tag: string, markdown: string, step: number): void {
    this.#summary(textValue(tag, markdown), step);
  }

  /** Waits until all is on the disk, so that a failing machine does not lose it either. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }

  #summary(value: SummaryValue, step: number): void {
    this.#write({ summary: { value: [value] } }, step);
  }

  #write(content: EventContent, step: number): void {
    const record = frameRecord(encodeEvent({ wall_time: Date.now() / 1000, step, ...content }));
    try {
      for (let done = 0; done < record.length; ) {
        done += writeSync(this.#file, record, done, record.length - done, this.#size + done);
      }
    } catch (error) {
      // Readers stop for good at half a record, so it must not stay in the middle of the file.
      ftruncateSync(this.#file, this.#size);
      throw error;
    }
    this.#size += record.length;
  }
}

/** Readers take the files of a folder in the order of their names, hence the time; the last number makes it a new file. */
function createFile(folder: string): number {
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
  for (let count = 0; ; count++) {
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${count}`;
    try {
      return openSync(join(folder, name), 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
