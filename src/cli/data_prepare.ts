/** @file `stmixer data prepare`: flags and output. */
import { Command } from 'commander';
import type { PrepareResult } from '../data_tools/prepare/prepare.js';
import { ConfigError } from '../errors.js';
import { countOf } from '../util/text.js';
import { quietOption } from './options.js';
import { continueWithoutOutput, printNote } from './output.js';
import { number, wholeNumber } from './parsers.js';

interface Flags {
  videos: string;
  out: string;
  start: number;
  end?: number;
  fps: number;
  shortSide: number;
  jobs?: number;
  quiet?: boolean;
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
      'folder of the videos; each subfolder, such as train/ and val/, gets its own frame list',
    )
    .requiredOption(
      '--out <folder>',
      'output folder for frames/ and frame_lists/; run the same command again to continue after an interruption',
    )
    .option(
      '--start <second>',
      'first second of each video; use 0 for your own videos, and set AVA.FIRST_SECOND to the same number',
      number({ min: 0 }),
      START,
    )
    .option('--end <second>', `last second (default: ${LENGTH} seconds after --start)`, number({ min: 0 }))
    .option(
      '--fps <number>',
      'frames per second; set AVA.FPS to the same number',
      wholeNumber({ min: 1 }),
      30,
    )
    .option('--short-side <pixels>', 'scale larger frames down to this size', wholeNumber({ min: 16 }), 340)
    .option('--jobs <number>', 'number of videos at a time (default: one per core)', wholeNumber({ min: 1 }))
    .addOption(quietOption())
    .option('--verbose', 'print the stack trace of an error')
    .action(prepareAction);
}

async function prepareAction(flags: Flags): Promise<void> {
  const end = flags.end ?? flags.start + LENGTH;
  if (end <= flags.start) throw new ConfigError(`--end ${end} must come after --start ${flags.start}`);
  continueWithoutOutput(`frames and lists are written into ${flags.out}`);
  const [{ prepare }, { ConsoleReporter }, { StopSignals }] = await Promise.all([
    import('../data_tools/prepare/prepare.js'),
    import('./console_reporter.js'),
    import('./process/signals.js'),
  ]);
  const report = new ConsoleReporter({ quiet: flags.quiet });
  const stop = new StopSignals((name) => name);
  try {
    const result = await prepare({ ...flags, end, signal: stop.signal, report });
    report.close();
    printResult(result);
    if (flags.quiet && !result.stopped) report.result(quietResult(result, flags.out));
    process.exitCode = stop.received ? stop.exitCode : result.failures.length > 0 ? DATA_EXIT_CODE : 0;
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    process.exitCode = stop.exitCode;
  } finally {
    report.close();
    stop.close();
  }
}

/** The only line of a `--quiet` command that succeeds. */
function quietResult({ videos, failures }: PrepareResult, out: string): string {
  return `${videos - failures.length} of ${countOf(videos, 'video')} prepared; see ${out}`;
}

function printResult({ videos, done, failures, advice, stopped }: PrepareResult): void {
  if (stopped) {
    process.stdout.write(
      `stopped; ${countOf(done, 'video')} of ${videos} done. Run the same command again to continue\n`,
    );
    return;
  }
  if (failures.length === 0) return;
  for (const { path, reason } of failures) printNote(`stmixer: ${path}: ${reason}`);
  printNote(
    `stmixer: ${failures.length} of ${countOf(videos, 'video')} failed (named above) and are in no list; run ` +
      `the same command again to retry them${advice === null ? '' : `. ${advice}`}`,
  );
}
