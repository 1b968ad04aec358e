/** @file `stmixer data import`: flags. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { FORMAT_NAMES, type FormatName } from '../data_tools/import/format_names.js';
import { ConsoleReporter } from './console_reporter.js';
import { addSplitOptions, type SplitFlags } from './data_split.js';
import { continueWithoutOutput } from './output.js';
import { names, number, wholeNumber } from './parsers.js';
import { endingOnSignals } from './signals.js';

interface Flags extends SplitFlags {
  out: string;
  format?: FormatName;
  videos?: string;
  fps?: number;
  size?: { width: number; height: number };
  firstFrame?: number;
  firstSecond?: number;
  step?: number;
  actionsFrom?: string;
  people?: string[];
  labelMap?: string;
  video?: string;
  overwrite?: boolean;
}

export function dataImportCommand(): Command {
  const command = new Command('import')
    .description("convert annotations of VIA, CVAT, COCO or Label Studio to AVA's layout")
    .argument('<files...>', 'annotation files of one or several videos')
    .requiredOption('--out <folder>', "the data set's folder; the files are written into its annotations/")
    .addOption(
      new Option('--format <name>', 'format of the files (default: what they contain)').choices(FORMAT_NAMES),
    )
    .option('--videos <folder>', 'folder of the videos, whose sizes and frame rates may be needed')
    .option(
      '--fps <number>',
      'frames per second with which the files number frames (default: those of the video)',
      number({ min: 0.001 }),
    )
    .option(
      '--size <width>x<height>',
      'size of the annotated images in pixels (default: that of the video)',
      parseSize,
    )
    .option('--first-frame <number>', 'number of the first frame of each video', wholeNumber({ min: 0 }))
    .option(
      '--first-second <second>',
      'time of the first frame in the annotations, which is AVA.FIRST_SECOND (default: 0, or --start of data prepare)',
      number(),
    )
    .option(
      '--step <seconds>',
      'make a key frame every so many seconds, with boxes in between as the format defines them (default: each annotated frame)',
      number({ min: 0.001 }),
    )
    .option(
      '--actions-from <where>',
      'where the actions are: label, or names of attributes separated by commas',
    )
    .option('--people <labels>', 'labels of the boxes that are people, separated by commas', names)
    .option('--label-map <file>', 'label map (pbtxt, txt, csv, json) whose ids are used')
    .option('--video <name>', 'name of the video in the data set, if the files are about one video');
  return addSplitOptions(command)
    .option('--overwrite', 'replace annotations that exist already')
    .option('--verbose', 'print the stack trace of an error')
    .action(async (files: string[], flags: Flags) => {
      continueWithoutOutput(`the annotations are written into ${flags.out}`);
      const { importAnnotations } = await import('../data_tools/import/import.js');
      await endingOnSignals(() => importAnnotations({ ...flags, files, log: new ConsoleReporter() }));
    });
}

function parseSize(text: string): { width: number; height: number } {
  const match = /^([1-9]\d{0,4})[x×*]([1-9]\d{0,4})$/.exec(text.trim());
  if (!match) throw new InvalidArgumentError('expected a width and a height in pixels, such as 1920x1080.');
  return { width: Number(match[1]), height: Number(match[2]) };
}
