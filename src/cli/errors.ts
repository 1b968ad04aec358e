/** @file Error messages and exit codes. */
import { UserError } from '../errors.js';
import { systemErrorMeaning } from '../files/system_errors.js';
import { partFailure } from './process/load_failure.js';

/** Prints the error to standard error, after `where`; returns the exit code. `verbose` adds the stack trace. */
export function reportError(error: unknown, verbose: boolean, where = ''): number {
  const { message, exitCode } = describe(error);
  process.stderr.write(`stmixer: ${where}${message}\n`);
  if (verbose && error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}

function describe(error: unknown): { message: string; exitCode: number } {
  if (error instanceof UserError) return { message: error.message, exitCode: error.exitCode };
  const part = partFailure(error);
  if (part !== null) return { message: part, exitCode: 1 };
  const meaning = systemErrorMeaning(error);
  if (meaning !== null) {
    const { path } = error as NodeJS.ErrnoException;
    return { message: `${meaning}${path ? `: ${path}` : ''}`, exitCode: 1 };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { message: `unexpected error: ${text} (--verbose prints the stack trace)`, exitCode: 1 };
}
