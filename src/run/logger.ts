/** @file The log: readable lines on standard output, JSON lines in OUTPUT_DIR/log.jsonl. */
import { Writable } from 'node:stream';
import pino from 'pino';
import pretty from 'pino-pretty';
import { LineFile } from '../files/line_file.js';

export type Logger = pino.Logger;

/** What takes sentences only: a Logger, or the console of a command that keeps no log. */
export interface LineLog {
  info(line: string): void;
  warn(line: string): void;
}

/** Where the readable lines go; a progress bar puts itself in between to keep its line below them. */
export interface Console {
  write(text: string): void;
}

export interface LoggerOptions {
  /** The JSON lines are appended to this file. */
  file: string;
  console: Console;
  color: boolean;
  verbose: boolean;
}

export function createLogger({ file, console, color, verbose }: LoggerOptions): Logger {
  const lines = new Writable({
    write(chunk, _encoding, done) {
      console.write(String(chunk));
      done();
    },
  });
  const readable = pretty({
    destination: lines,
    sync: true,
    colorize: color,
    translateTime: 'SYS:HH:MM:ss',
    // The message says it all; the fields are for the JSON lines.
    hideObject: true,
    ignore: 'pid,hostname',
  });
  // Every line is written at once: the last ones before a crash are those that matter.
  const json = new LineFile(file, (message) => console.write(`${message}\n`));
  return pino(
    { level: 'debug', base: null },
    pino.multistream([
      { level: verbose ? 'debug' : 'info', stream: readable },
      { level: 'debug', stream: { write: (line: string) => json.append(line.trimEnd()) } },
    ]),
  );
}
