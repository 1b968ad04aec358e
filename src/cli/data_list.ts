/** @file `stmixer data list`: flags. */
import { Command } from 'commander';
import { ConsoleReporter } from './console_reporter.js';
import { addSplitOptions, type SplitFlags } from './data_split.js';
import { continueWithoutOutput } from './output.js';
import { wholeNumber } from './parsers.js';
import { endingOnSignals } from './signals.js';

interface Flags extends SplitFlags {
  out: string;
  fps?: number;
  overwrite?: boolean;
}

export function dataListCommand(): Command {
  const command = new Command('list')
    .description('write frame lists for folders of frames that exist already')
    .argument('<frames>', 'folder with one folder of numbered images for each video, at any depth')
    .requiredOption('--out <folder>', "the data set's folder; the lists are written into its frame_lists/")
    .option(
      '--fps <number>',
      'frames per second that the frames were extracted with (default: 30)',
      wholeNumber({ min: 1 }),
    );
  return addSplitOptions(command)
    .option('--overwrite', 'replace lists that exist already')
    .option('--verbose', 'print the stack trace of an error')
    .action(async (frames: string, flags: Flags) => {
      continueWithoutOutput(`the lists are written into ${flags.out}`);
      const { listFrameFolders } = await import('../data_tools/list/list_frames.js');
      await endingOnSignals(() => listFrameFolders({ ...flags, frames, log: new ConsoleReporter() }));
    });
}
