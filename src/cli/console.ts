/** @file Output of commands with a log: readable lines, and progress bars on a terminal. */
import { RunLog } from '../run/log.js';
import type { TrainOptions } from '../training/train.js';
import { ProgressBars } from './progress_bars.js';

/** Opens the log of a run on standard output. The other options show progress bars if that is a terminal. */
export function openConsole(
  verbose: boolean,
): Required<Pick<TrainOptions, 'log' | 'hooks'>> & Pick<TrainOptions, 'showEvaluation'> {
  if (!process.stdout.isTTY) return { log: new RunLog({ console: process.stdout, verbose }), hooks: [] };
  const bars = new ProgressBars();
  const log = new RunLog({ console: bars, color: !process.env.NO_COLOR, verbose });
  return { log, hooks: [bars], showEvaluation: (total) => bars.evaluation(total) };
}
