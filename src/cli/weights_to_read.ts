/** @file Finds the weight file that a command reads. */
import { findWeights } from '../checkpoint/weight_path.js';
import { printNote } from './output.js';

/**
 * Finds the file that an argument names; for the folder of a run, its best checkpoint, else its last. Reports the choice on
 * standard error. Throws CheckpointError if there is none.
 */
export function weightsToRead(argument: string): string {
  const { path, note, warning } = findWeights(argument, 'best');
  if (note !== undefined) printNote(note);
  if (warning !== undefined) printNote(`warning: ${warning}`);
  return path;
}
