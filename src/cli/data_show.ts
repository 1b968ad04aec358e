/** @file `stmixer data show`: flags. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { loadConfig } from '../config/index.js';
import type { ClipChoice } from '../data_tools/show_clips.js';
import { type ConfigOptions, configCommand, FONT_OPTION } from './options.js';
import { continueWithoutOutput, printNote } from './output.js';
import { endingOnSignals } from './signals.js';

type Flags = ConfigOptions & {
  out: string;
  split: 'train' | 'test';
  clips: ClipChoice;
  augmented?: boolean;
  font?: string;
};

export function dataShowCommand(): Command {
  return configCommand('show')
    .description('draw clips with their boxes and labels')
    .requiredOption('--out <folder>', 'output folder for one PNG per clip')
    .addOption(
      new Option('--split <name>', 'lists to take the clips from')
        .choices(['train', 'test'])
        .default('train'),
    )
    .option(
      '--clips <which>',
      'number of clips, evenly spaced, or a list of clips: video:second,video:second,…',
      parseClips,
      8 as ClipChoice,
    )
    .option('--augmented', 'draw the clips as the model sees them: resized, flipped, with changed colours')
    .option(...FONT_OPTION)
    .action(async (overrides: string[], flags: Flags) => {
      const { config } = loadConfig(flags.configFile, overrides);
      continueWithoutOutput(`the images are written into ${flags.out}`);
      const { showClips } = await import('../data_tools/show_clips.js');
      await endingOnSignals(() =>
        showClips(config, {
          split: flags.split,
          clips: flags.clips,
          augmented: flags.augmented ?? false,
          out: flags.out,
          font: flags.font,
          written: (path) => process.stdout.write(`${path}\n`),
          wait: printNote,
          warn: (message) => printNote(`warning: ${message}`),
        }),
      );
    });
}

function parseClips(text: string): ClipChoice {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  return text.split(',').map((entry) => {
    const match = /^(.+):(-?\d+(?:\.\d+)?)$/.exec(entry.trim());
    if (!match) throw new InvalidArgumentError('expected a number from 1, or video:second,video:second,…');
    return { video: match[1], second: Number(match[2]) };
  });
}
