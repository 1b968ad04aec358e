/** @file The log of a command that works in OUTPUT_DIR: readable lines on a console, JSON lines in log.jsonl. */
import { join } from 'node:path';
import pino from 'pino';
import type { EngineInfo } from '../engine/index.js';
import { LineFile } from '../files/line_file.js';
import { isObject, numberOrNull, parseObject } from '../util/json.js';
import { ConsoleLines, type ConsoleStyle } from './console_lines.js';
import { LOG } from './run_folder.js';

export type Logger = pino.Logger;

/** Where the readable lines go. Progress bars put themselves in between to stay below them. */
export interface Console {
  write(text: string): void;
}

/** A log that drops everything. */
export const SILENT_LOGGER: Logger = pino({ level: 'silent' });

export interface RunLogOptions extends Partial<ConsoleStyle> {
  /** Destination of the readable lines; none without it. */
  readonly console?: Console;
  /** Shows debug messages on the console too; the file has them always. */
  readonly verbose?: boolean;
  /** Shows only warnings and errors on the console. */
  readonly quiet?: boolean;
}

/** The log of a run. Its file is opened once the folder is known and gets all lines from the start. */
export class RunLog {
  readonly logger: Logger;
  readonly #console: Console | null;
  #file: LineFile | null = null;
  /** Lines from before the file was opened. */
  #early: string[] = [];

  constructor(options: RunLogOptions = {}) {
    const { console, verbose = false, quiet = false } = options;
    this.#console = console ?? null;
    const streams: pino.StreamEntry[] = [
      { level: 'debug', stream: { write: (line: string) => this.#append(line.trimEnd()) } },
    ];
    const level = quiet ? 'warn' : verbose ? 'debug' : 'info';
    if (console) streams.unshift({ level, stream: readable(console, options) });
    this.logger = pino({ level: 'debug', base: null, timestamp: timeFields }, pino.multistream(streams));
  }

  /** Appends all lines to a file in a folder, which must exist. */
  open(outputDir: string, name = LOG): void {
    this.#file = new LineFile(join(outputDir, name), (message) => this.#console?.write(`${message}\n`));
    for (const line of this.#early.splice(0)) this.#file.append(line);
  }

  /** Writes each line at once: the last ones before a crash matter most. */
  #append(line: string): void {
    if (this.#file) this.#file.append(line);
    else this.#early.push(line);
  }
}

/** The time as a number for programs, and in UTC for people. */
function timeFields(): string {
  const now = new Date();
  return `,"time":${now.getTime()},"date":"${now.toISOString()}"`;
}

function readable(console: Console, options: RunLogOptions): pino.DestinationStream {
  const { color = false, dates = false, width = () => Number.POSITIVE_INFINITY } = options;
  const lines = new ConsoleLines({ color, dates, width });
  return { write: (json: string) => console.write(lines.format(json)) };
}

const ENDED_WITH_ERROR = 'the run ended with an error';

export function logEngine(log: Logger, engine: EngineInfo): void {
  log.info({ engine }, `engine: ${engine.description}`);
}

/** Writes an error to log.jsonl only; the command line prints it. */
export function logFailure(log: Logger, error: unknown): void {
  log.debug({ err: error }, ENDED_WITH_ERROR);
}

/** A warning or an error from log.jsonl. */
export interface LogMessage {
  readonly time: number | null;
  readonly text: string;
}

/** What a report shows of log.jsonl. */
export interface LogSummary {
  /** The engine of the last start. */
  readonly engine: string | null;
  /** The latest warnings and errors. */
  readonly messages: readonly LogMessage[];
}

const MAX_MESSAGES = 20;
const PINO_WARN = 40;
/** Most lines are metrics, which take long to parse. */
const WORTH_PARSING = new RegExp(`^\\{"level":[456]|"engine":\\{|${ENDED_WITH_ERROR}`);

/** Summarizes the text of log.jsonl. Damaged lines are left out. */
export function summarizeLog(text: string): LogSummary {
  let engine: string | null = null;
  const messages: LogMessage[] = [];
  for (const line of text.split('\n')) {
    const entry = WORTH_PARSING.test(line) ? parseObject(line) : null;
    if (!entry) continue;
    if (isObject(entry.engine) && typeof entry.engine.description === 'string') {
      engine = entry.engine.description;
      continue;
    }
    const error = isObject(entry.err) && typeof entry.err.message === 'string' ? entry.err.message : null;
    if (error === null && (numberOrNull(entry.level) ?? 0) < PINO_WARN) continue;
    messages.push({
      time: numberOrNull(entry.time),
      text: error === null ? String(entry.msg ?? '') : `The run ended with an error: ${error}`,
    });
  }
  return { engine, messages: messages.slice(-MAX_MESSAGES) };
}
