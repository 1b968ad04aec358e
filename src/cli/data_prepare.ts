/** @file `stmixer data prepare`: its flags and its output. */
import { Command, InvalidArgumentError } from 'commander';
import type { PrepareResult } from '../data_tools/prepare/prepare.js';
import { ConfigError } from '../errors.js';
import { countOf } from '../util/progress.js';
import { goOnWithoutOutput } from './output.js';

interface Flags {
  videos: string;
  out: string;
  start: number;
  end?: number;
  fps: number;
  shortSide: number;
  jobs?: number;
}

/** AVA annotates the quarter of an hour after second 900. */
const START = 900;
const LENGTH = 900;

const DATA_EXIT_CODE = 3;

export function dataPrepareCommand(): Command {
  return new Command('prepare')
    .description("extract the frames of videos with ffmpeg, into AVA's layout")
    .requiredOption(
      '--videos <folder>',
      'folder of the videos; subfolders such as train/ and val/ get a frame list each',
    )
    .requiredOption(
      '--out <folder>',
      'output folder for frames/ and frame_lists/; an interrupted command continues there',
    )
    .option(
      '--start <second>',
      'first second of each video; 0 for videos that are not films of AVA',
      whole(0),
      START,
    )
    .option('--end <second>', `last second (default: ${LENGTH} seconds after --start)`, whole(1))
    .option('--fps <number>', 'frames per second; also AVA.FPS of the configuration', whole(1), 30)
    .option('--short-side <pixels>', 'scale larger frames down to this size', whole(16), 340)
    .option('--jobs <number>', 'videos at a time (default: one per core)', whole(1))
    .option('--verbose', 'show where errors come from')
    .action(prepareAction);
}

async function prepareAction(flags: Flags): Promise<void> {
  const end = flags.end ?? flags.start + LENGTH;
  if (end <= flags.start) throw new ConfigError(`--end ${end} must come after --start ${flags.start}`);
  goOnWithoutOutput(`frames and lists are written into ${flags.out}`);
  const [{ prepare }, { ConsoleReporter }, { StopSignals }] = await Promise.all([
    import('../data_tools/prepare/prepare.js'),
    import('./console_reporter.js'),
    import('./process/signals.js'),
  ]);
  const report = new ConsoleReporter();
  const stop = new StopSignals((name) => name);
  try {
    const result = await prepare({ ...flags, end, signal: stop.signal, report });
    report.close();
    printResult(result);
    process.exitCode = stop.received ? stop.exitCode : result.failures.length > 0 ? DATA_EXIT_CODE : 0;
  } catch (error) {
    if (!stop.received) throw error;
    process.exitCode = stop.exitCode;
  } finally {
    report.close();
    stop.close();
  }
}

function printResult({ videos, done, failures, advice, stopped }: PrepareResult): void {
  if (stopped) {
    process.stdout.write(
      `stopped; ${countOf(done, 'video')} of ${videos} done. The same command continues from here\n`,
    );
    return;
  }
  if (failures.length === 0) return;
  for (const { path, reason } of failures) process.stderr.write(`stmixer: ${path}: ${reason}\n`);
  process.stderr.write(
    `stmixer: ${failures.length} of ${countOf(videos, 'video')} failed (named above) and are in no list; the ` +
      `same command tries them again${advice === null ? '' : `. ${advice}`}\n`,
  );
}

/** A parser of whole numbers that are at least `min`. */
function whole(min: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`expected a whole number from ${min}.`);
    }
    return value;
  };
}
