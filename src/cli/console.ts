/** @file The terminal of a command that keeps a log: readable lines, and progress bars where it is one. */
import { RunLog } from '../run/run_log.js';
import { ProgressBars } from './progress_bars.js';

/** Opens the log of a run on standard output. The bars are null if that is not a terminal. */
export function openConsoleLog(verbose: boolean): { log: RunLog; bars: ProgressBars | null } {
  const isTerminal = process.stdout.isTTY === true;
  const bars = isTerminal ? new ProgressBars() : null;
  const color = isTerminal && !process.env.NO_COLOR;
  return { log: new RunLog({ console: bars ?? process.stdout, color, verbose }), bars };
}
