/** @file A logger with two outputs: readable lines for a console, JSON lines for a file. */
import { Writable } from 'node:stream';
import pino from 'pino';
import pretty from 'pino-pretty';

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
  /** Gets the readable lines; none without it. */
  readonly console?: Console;
  /** Gets each JSON line, without its line break. */
  json(line: string): void;
  readonly color: boolean;
  /** Shows debug lines on the console too. */
  readonly verbose: boolean;
}

export function createLogger({ console, json, color, verbose }: LoggerOptions): Logger {
  const streams: pino.StreamEntry[] = [
    // Every line is written at once: the last ones before a crash are those that matter.
    { level: 'debug', stream: { write: (line: string) => json(line.trimEnd()) } },
  ];
  if (console) streams.unshift({ level: verbose ? 'debug' : 'info', stream: readable(console, color) });
  return pino({ level: 'debug', base: null }, pino.multistream(streams));
}

function readable(console: Console, color: boolean): pino.DestinationStream {
  const lines = new Writable({
    write(chunk, _encoding, done) {
      console.write(String(chunk));
      done();
    },
  });
  return pretty({
    destination: lines,
    sync: true,
    colorize: color,
    translateTime: 'SYS:HH:MM:ss',
    // The message says it all; the fields are for the JSON lines.
    hideObject: true,
    ignore: 'pid,hostname',
  });
}
