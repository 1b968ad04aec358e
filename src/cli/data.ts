/** @file `stmixer data`: making a data set from videos, and looking at one before training. */
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { dataShowCommand } from './data_show.js';
import { type ConfigOptions, configCommand } from './options.js';
import { goOnWithoutOutput } from './output.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('make a data set from videos, check it, look at it')
    .addCommand(prepareCommand())
    .addCommand(checkCommand())
    .addCommand(dataShowCommand());
}

interface PrepareFlags {
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

function prepareCommand(): Command {
  return new Command('prepare')
    .description("take the frames out of videos with ffmpeg, into AVA's layout")
    .requiredOption(
      '--videos <folder>',
      'the videos; with subfolders such as train/ and val/, a frame list for each',
    )
    .requiredOption('--out <folder>', 'gets frames/ and frame_lists/; after an interruption, goes on there')
    .option(
      '--start <second>',
      'where in each video to begin; 0 for videos that are no movies of AVA',
      whole(0),
      START,
    )
    .option('--end <second>', `where to end (default: ${LENGTH} seconds after --start)`, whole(1))
    .option('--fps <number>', 'frames per second; also AVA.FPS of the configuration', whole(1), 30)
    .option('--short-side <pixels>', 'larger pictures are scaled down to this', whole(16), 340)
    .option('--jobs <number>', 'videos at a time (default: one per core)', whole(1))
    .option('--verbose', 'show where errors come from')
    .action(async (flags: PrepareFlags) => {
      const end = flags.end ?? flags.start + LENGTH;
      if (end <= flags.start) throw new ConfigError(`--end ${end} must come after --start ${flags.start}`);
      goOnWithoutOutput(`frames and lists are written into ${flags.out}`);
      const [{ prepare }, { machineProbe }, { usableProcessors }] = await Promise.all([
        import('../data_tools/prepare/prepare.js'),
        import('../engine/probe.js'),
        import('../engine/threads.js'),
      ]);
      process.exitCode = await prepare({
        ...flags,
        end,
        jobs: flags.jobs ?? usableProcessors(machineProbe()).threads,
      });
    });
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`expected a whole number from ${least}.`);
    }
    return value;
  };
}

type CheckFlags = ConfigOptions & { deep?: boolean; json?: boolean };

function checkCommand(): Command {
  return configCommand('check')
    .description('report everything in a data set that would go wrong in training and evaluation')
    .option('--deep', 'decode every frame that clips use, not a sample')
    .option('--json', 'machine-readable output')
    .action(async (overrides: string[], flags: CheckFlags) => {
      const { config } = loadConfig(flags.configFile, overrides);
      const { runCheck } = await import('../data_tools/check/run_check.js');
      process.exitCode = await runCheck(config, { deep: flags.deep ?? false, json: flags.json ?? false });
    });
}
