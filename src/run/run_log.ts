/** @file The log of a run: readable lines on a console at once, JSON lines in OUTPUT_DIR/log.jsonl once that folder is known. */
import { join } from 'node:path';
import { LineFile } from '../files/line_file.js';
import { type Console, createLogger, type Logger } from './logger.js';
import { LOG } from './read_run.js';

export interface RunLogOptions {
  /** Destination of the readable lines; none without it. */
  readonly console?: Console;
  readonly color?: boolean;
  /** Shows debug lines on the console too; the file has them always. */
  readonly verbose?: boolean;
}

export class RunLog {
  readonly logger: Logger;
  readonly #console: Console | null;
  /** Lines from before the file was opened. */
  #early: string[] = [];
  #file: LineFile | null = null;

  constructor({ console, color = false, verbose = false }: RunLogOptions = {}) {
    this.#console = console ?? null;
    this.logger = createLogger({ console, color, verbose, json: (line) => this.#append(line) });
  }

  /** Appends all lines, those so far included, to log.jsonl in this folder, which must exist. */
  open(outputDir: string): void {
    this.#file = new LineFile(join(outputDir, LOG), (message) => this.#console?.write(`${message}\n`));
    const lines = this.#early;
    this.#early = [];
    for (const line of lines) this.#file.append(line);
  }

  #append(line: string): void {
    if (this.#file) this.#file.append(line);
    else this.#early.push(line);
  }
}
