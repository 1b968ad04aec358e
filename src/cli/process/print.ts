/** @file Printing a result so that none of it is lost without a word. */
import { fstatSync, writeSync } from 'node:fs';
import { UserError } from '../../errors.js';

const STDOUT = 1;

/**
 * Prints the result of a command. A disk may take a part of a text only, and Node's own streams do not notice that. Throws
 * UserError where a file does not take all of it.
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
