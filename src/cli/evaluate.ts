/** @file `stmixer evaluate`: mAP of detections from anywhere, in AVA's csv form. */
import { Command } from 'commander';
import { evaluateFiles } from '../evaluation/evaluate_files.js';
import { resultsJson, resultsTable, writeResults } from '../evaluation/results.js';
import type { AvaResults } from '../evaluation/types.js';
import { commandLock, FolderLock } from '../files/folder_lock.js';
import { makeOutputFolder } from '../files/output_paths.js';
import { printable } from '../util/text.js';
import { finiteNumber } from './options.js';
import { print } from './process/print.js';

interface Flags {
  groundTruth: string[];
  predictions: string;
  labelMap: string;
  secondOffset: number;
  exclude?: string;
  out?: string;
  json?: boolean;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description("mean average precision (IoU 0.5) of detections in AVA's csv form")
    .requiredOption('--ground-truth <files...>', 'csv: video, second, x1, y1, x2, y2, action id, person id')
    .requiredOption('--predictions <file>', 'csv: video, second, x1, y1, x2, y2, action id, score')
    .requiredOption('--label-map <file>', 'pbtxt with the names and ids of the classes that count')
    .option('--exclude <file>', 'csv with the key frames that do not count: video, second')
    .option('--second-offset <seconds>', 'add this to the seconds of the predictions', finiteNumber, 0)
    .option('--out <folder>', 'write results.json, per_class.csv and precision_recall.json there')
    .option('--json', 'machine-readable output')
    .option('--verbose', 'show where errors come from')
    .action(async (flags: Flags) => {
      if (flags.out !== undefined) {
        makeOutputFolder(flags.out, '--out');
        // Refused before the work, but held while files are written only: Ctrl-C during the work is to leave no lock.
        (await lockFolder(flags.out)).release();
      }
      const { warnings, notes, ...results } = evaluateFiles(flags, flags.predictions, flags);
      for (const warning of warnings) process.stderr.write(`warning: ${printable(warning)}\n`);
      for (const note of notes) process.stderr.write(`note: ${printable(note)}\n`);
      if (flags.out !== undefined) await writeInto(flags.out, results);
      const text = flags.json
        ? JSON.stringify({ ...resultsJson(results), warnings, ...(notes.length > 0 && { notes }) }, null, 2)
        : resultsTable(results);
      print(`${text}\n`);
    });
}

function lockFolder(out: string): Promise<FolderLock> {
  return FolderLock.acquire(out, commandLock('evaluate'));
}

async function writeInto(out: string, results: AvaResults): Promise<void> {
  const lock = await lockFolder(out);
  try {
    writeResults(out, results);
  } finally {
    lock.release();
  }
}
