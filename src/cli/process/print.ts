/** @file Prints results, and reports if some of the output is lost. */
import { fstatSync, writeSync } from 'node:fs';
import { UserError } from '../../errors.js';

const STDOUT = 1;

/**
 * Prints the result of a command. A disk may accept only a part of a text, which Node's own streams do not notice. Throws
 * UserError if standard output is a file that cannot take the whole text.
 */
export function print(text: string): void {
  if (!fstatSync(STDOUT).isFile()) {
    process.stdout.write(text);
    return;
  }
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(STDOUT, bytes, done);
  } catch (error) {
    throw new UserError(`standard output: ${(error as Error).message}`, { cause: error });
  }
}
