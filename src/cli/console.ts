/** @file Output of commands with a log: readable lines, and progress bars on a terminal. */
import { RunLog } from '../run/log.js';
import { ProgressBars } from './progress_bars.js';

/** Opens the log of a run on standard output. `bars` is null if standard output is not a terminal. */
export function openConsoleLog(verbose: boolean): { log: RunLog; bars: ProgressBars | null } {
  const isTerminal = process.stdout.isTTY === true;
  const bars = isTerminal ? new ProgressBars() : null;
  const color = isTerminal && !process.env.NO_COLOR;
  return { log: new RunLog({ console: bars ?? process.stdout, color, verbose }), bars };
}
