/** @file Options that divide videos into those for training and those for evaluation. */
import { type Command, Option } from 'commander';
import { names, number, wholeNumber } from './parsers.js';

export interface SplitFlags {
  valVideos?: string[];
  valFraction?: number;
  seed?: number;
}

/** Adds `--val-videos`, `--val-fraction` and `--seed`. */
export function addSplitOptions(command: Command): Command {
  return command
    .option(
      '--val-videos <names>',
      'videos for evaluation, separated by commas; the others are for training',
      names,
    )
    .addOption(
      new Option(
        '--val-fraction <number>',
        'fraction of the videos for evaluation, drawn at random, e.g. 0.2',
      )
        .argParser(number({ min: 0.001, max: 1 }))
        .conflicts('valVideos'),
    )
    .option('--seed <number>', 'seed of the random choice of --val-fraction', wholeNumber({ min: 0 }), 0);
}
