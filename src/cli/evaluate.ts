/** @file `stmixer evaluate`: mAP of detections from any program, in AVA's CSV format. */
import { Command } from 'commander';
import { evaluateFiles } from '../evaluation/evaluate_files.js';
import { resultsJson, resultsTable, writeResults } from '../evaluation/results.js';
import type { AvaResults } from '../evaluation/types.js';
import { commandLock, FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { printable } from '../util/text.js';
import { checkMinMap, minMapOption } from './min_map.js';
import { quietOption } from './options.js';
import { printNote } from './output.js';
import { number } from './parsers.js';
import { print } from './process/print.js';

interface Flags {
  groundTruth: string[];
  predictions: string;
  labelMap: string;
  secondOffset: number;
  exclude?: string;
  out?: string;
  json?: boolean;
  minMap?: number;
  quiet?: boolean;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description("compute the mean average precision (IoU 0.5) of detections in AVA's CSV format")
    .requiredOption('--ground-truth <files...>', 'CSV: video, second, x1, y1, x2, y2, action id, person id')
    .requiredOption('--predictions <file>', 'CSV: video, second, x1, y1, x2, y2, action id, score')
    .requiredOption(
      '--label-map <file>',
      'label map (pbtxt, txt, csv, json) with the ids and names of the classes to evaluate',
    )
    .option('--exclude <file>', 'CSV of key frames to leave out: video, second')
    .option('--second-offset <seconds>', 'number to add to the seconds of the predictions', number(), 0)
    .option('--out <folder>', 'output folder for results.json, per_class.csv and precision_recall.json')
    .option('--json', 'print JSON')
    .addOption(minMapOption())
    .addOption(quietOption())
    .option('--verbose', 'print the stack trace of an error')
    .action(async (flags: Flags) => {
      if (flags.out !== undefined) {
        makeOutputFolder(flags.out, '--out');
        // A folder in use is refused before the work. The lock is held only while files are written, so that Ctrl-C
        // during the work leaves no lock behind.
        (await lockFolder(flags.out)).release();
      }
      const { warnings, notes, ...results } = evaluateFiles(flags, flags.predictions, flags);
      for (const warning of warnings) printNote(`warning: ${printable(warning)}`);
      if (!flags.quiet) for (const note of notes) printNote(`note: ${printable(note)}`);
      if (flags.out !== undefined) await writeInto(flags.out, results);
      const text = flags.json
        ? JSON.stringify({ ...resultsJson(results), warnings, ...(notes.length > 0 && { notes }) }, null, 2)
        : resultsTable(results);
      print(`${text}\n`);
      process.exitCode = checkMinMap(results.mAP, flags.minMap);
    });
}

function lockFolder(out: string): Promise<FolderLock> {
  return FolderLock.acquire(out, commandLock('evaluate'), { wait: printNote });
}

async function writeInto(out: string, results: AvaResults): Promise<void> {
  const lock = await lockFolder(out);
  try {
    writeResults(out, results);
  } finally {
    lock.release();
  }
}
