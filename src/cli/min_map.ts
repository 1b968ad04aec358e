/** @file `--min-map`: an exit code of its own for results that are not good enough, for CI. */
import { Option } from 'commander';
import { printNote } from './output.js';
import { number } from './parsers.js';

/** Exit code of a command whose mAP is below `--min-map`. Nothing else uses it. */
const BELOW_MIN_MAP = 5;

export function minMapOption(): Option {
  return new Option(
    '--min-map <mAP>',
    `end with exit code ${BELOW_MIN_MAP} if the mAP is lower than this, from 0 to 1`,
  ).argParser(number({ min: 0, max: 1 }));
}

/** Prints to standard error if a mAP is too low. Returns the exit code. A mAP that is missing for lack of ground truth is too low. */
export function checkMinMap(mAP: number | null, minMap: number | undefined): number {
  if (minMap === undefined || (mAP !== null && mAP >= minMap)) return 0;
  printNote(
    mAP === null
      ? `stmixer: there is no mAP to compare with --min-map ${minMap}: no class has ground truth`
      : `stmixer: the mAP of ${mAP} is lower than --min-map ${minMap}`,
  );
  return BELOW_MIN_MAP;
}
