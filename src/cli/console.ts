/** @file Output of commands with a log: readable lines, and progress bars on a terminal. */
import { RunLog } from '../run/log.js';
import type { TrainOptions } from '../training/train.js';
import { ProgressBars } from './progress_bars.js';
import { isTerminal, showsChanges, showsColours } from './terminal.js';

export interface ConsoleOptions {
  /** Shows only warnings and errors, and no progress. */
  readonly quiet?: boolean;
  /** Standard output by default. */
  readonly stream?: NodeJS.WriteStream;
}

/** Characters in a line of a terminal that does not say its width. */
const USUAL_WIDTH = 120;

type RunOutput = Required<Pick<TrainOptions, 'log' | 'hooks'>> & Pick<TrainOptions, 'showEvaluation'>;

/** Opens the log of a run on a stream. The other options show progress bars if that is a terminal. */
export function openConsole(verbose: boolean, options: ConsoleOptions = {}): RunOutput {
  const { quiet = false, stream = process.stdout } = options;
  const style = {
    verbose,
    quiet,
    color: showsColours(stream),
    dates: !isTerminal(stream),
    width: () => (isTerminal(stream) ? (stream.columns ?? USUAL_WIDTH) : Number.POSITIVE_INFINITY),
  };
  if (quiet || !showsChanges(stream)) return { log: new RunLog({ ...style, console: stream }), hooks: [] };
  const bars = new ProgressBars(stream);
  const log = new RunLog({ ...style, console: bars });
  return { log, hooks: [bars], showEvaluation: (total) => bars.evaluation(total) };
}
