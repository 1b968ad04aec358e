/** @file The weight file that a command only reads, and what is said about it on standard error. */
import { findWeights } from '../checkpoint/weight_path.js';

/**
 * The file that an argument names; the folder of a run stands for its best checkpoint, else its last. Throws CheckpointError
 * where there is none.
 */
export function weightsToRead(argument: string): string {
  const { path, note, warning } = findWeights(argument, 'best');
  if (note !== undefined) process.stderr.write(`${note}\n`);
  if (warning !== undefined) process.stderr.write(`warning: ${warning}\n`);
  return path;
}
