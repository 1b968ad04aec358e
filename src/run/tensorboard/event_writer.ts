/** @file Writes an event file of TensorBoard, one record at a time. */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type EventContent,
  type EventImage,
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
 * Appends records to a new file in a folder. When a call returns, its record is complete in the file, even if the process is
 * killed then. A call that throws, for example on a full disk, leaves the file unchanged, and later calls may succeed.
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

  /** Writes an RGB image. */
  image(tag: string, image: EventImage, step: number): void {
    this.#summary(imageValue(tag, image), step);
  }

  histogram(tag: string, values: Float32Array, step: number): void {
    this.#summary({ tag, histo: makeHistogram(values) }, step);
  }

  text(tag: string, markdown: string, step: number): void {
    this.#summary(textValue(tag, markdown), step);
  }

  /** Waits until everything is on the disk, so that a power cut cannot lose it. */
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
      // Readers stop at half a record, so it must not stay in the middle of the file.
      ftruncateSync(this.#file, this.#size);
      throw error;
    }
    this.#size += record.length;
  }
}

/** Makes a new file. Its name has the time, since readers sort by name, and a number that makes it unique. */
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
