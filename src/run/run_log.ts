/** @file The log of a command that works in an output folder, and its progress bars. */
import { join } from 'node:path';
import { ProgressBars } from './console.js';
import { createLogger, type Logger } from './logger.js';

/** The folder must exist. The bars are null where standard output is not a terminal. */
export function openLog(outputDir: string, verbose: boolean): { log: Logger; bars: ProgressBars | null } {
  const terminal = process.stdout.isTTY === true;
  const bars = terminal ? new ProgressBars() : null;
  const log = createLogger({
    file: join(outputDir, 'log.jsonl'),
    console: bars ?? process.stdout,
    color: terminal && !process.env.NO_COLOR,
    verbose,
  });
  return { log, bars };
}
