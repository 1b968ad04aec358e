/** @file Advice about comparing detections with true boxes, and about reports. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { vi } from 'vitest';
import { reportError } from '../../../src/cli/errors.js';
import { setUserFont } from '../../../src/drawing/fonts.js';
import { undrawnNamesHint } from '../../../src/drawing/names.js';
import { RunWatch } from '../../../src/report/watch.js';
import {
  changed,
  evaluate,
  type Files,
  fitting,
  proposedOffset,
  seconds,
} from '../../support/mismatched_files.js';
import { writeRunFolder } from '../../support/run_folder.js';
import { squaresFont } from '../../support/squares_font.js';
import { type Advice, commandLine, type Outcome, outcomeOf } from './advice.js';

const warningsOf = (files: Files) => outcomeOf(() => evaluate(files).warnings.join('\n'));

/** Predictions whose seconds are off, and the same with --second-offset. */
function offset(says: string, files: () => Files): Advice {
  return {
    says,
    meet: () => warningsOf(files()),
    follow: (_, text) => warningsOf({ ...files(), secondOffset: proposedOffset(text) }),
  };
}

const { groundTruth, predictions, labels } = fitting();

/** A run that a report can show. */
function runFolder(folder: string): string {
  const path = join(folder, 'run');
  mkdirSync(path, { recursive: true });
  writeRunFolder(path, { iterations: 0 });
  return path;
}

/** Serves a run's report for a moment. */
async function servesReport(folder: string, port: number): Promise<void> {
  const watch = new RunWatch(folder);
  await watch.listen(port).finally(() => watch.close());
}

/** What is said about a name in characters that only a made font has, after `--font` names a file. */
function namesDrawnWith(name: string | null, folder: string): string {
  writeFileSync(join(folder, 'font.otf'), squaresFont(['\u{10fff0}']));
  setUserFont(name === null ? undefined : join(folder, name));
  const text = undrawnNamesHint([[1, '\u{10fff0}']]) ?? '';
  setUserFont(undefined);
  return text;
}

/** An error that no part of the program expects, as the command line shows it. */
function unexpected(verbose: boolean): Outcome {
  let text = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  reportError(new TypeError('x is not a function'), verbose);
  spy.mockRestore();
  return { text, failed: verbose && !/at unexpected/.test(text) };
}

export const RESULTS: readonly Advice[] = [
  {
    says: '(--verbose prints the stack trace)\n',
    meet: () => unexpected(false),
    follow: () => {
      const { text, failed } = unexpected(true);
      // The advice stands in the first line, and what it promises below it.
      return { text: text.split('\n').slice(1).join('\n'), failed };
    },
  },
  {
    says: 'exchange --ground-truth and --predictions',
    meet: () => warningsOf({ groundTruth: predictions, predictions: groundTruth, labels }),
    follow: () => warningsOf({ groundTruth, predictions, labels }),
  },
  offset('would fit: --second-offset', () =>
    changed(fitting(), { predictions: seconds((second) => second - 900) }),
  ),
  offset('would be found: --second-offset', () =>
    changed(fitting(), { predictions: seconds((second) => second + 1) }),
  ),
  {
    says: 'there is no run in this folder',
    meet: (folder) => commandLine('report', folder),
    follow: (folder) => commandLine('report', runFolder(folder)),
  },
  {
    says: 'give a font that has them: --font FILE',
    meet: (folder) => outcomeOf(() => namesDrawnWith(null, folder)),
    follow: (folder) => outcomeOf(() => namesDrawnWith('font.otf', folder)),
  },
  {
    says: 'give a font file (.ttf, .otf, .ttc or .woff)',
    meet: (folder) => outcomeOf(() => namesDrawnWith('none.otf', folder)),
    follow: (folder) => outcomeOf(() => namesDrawnWith('font.otf', folder)),
  },
  {
    says: '--watch serves one run',
    meet: (folder) => commandLine('report', runFolder(folder), folder, '--watch'),
    follow: (folder) => outcomeOf(() => servesReport(runFolder(folder), 0)),
  },
  {
    says: '--port needs --watch',
    meet: (folder) => commandLine('report', runFolder(folder), '--port', '8000'),
    follow: (folder) => outcomeOf(() => servesReport(runFolder(folder), 0)),
  },
  {
    says: 'is in use by another program',
    meet: (folder) =>
      outcomeOf(async () => {
        const other = createServer().listen(0, '127.0.0.1');
        await once(other, 'listening');
        const { port } = other.address() as { port: number };
        await servesReport(runFolder(folder), port).finally(() => other.close());
      }),
    follow: (folder) => outcomeOf(() => servesReport(runFolder(folder), 0)),
  },
];
