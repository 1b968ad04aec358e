/** @file What a user sees of an error, and the exit code. */
import { UserError } from '../errors.js';
import { partFailure } from './process/load_failure.js';

/** An error of the operating system as people say it. */
export function systemErrorText({ code, message }: NodeJS.ErrnoException): string {
  return (code && SYSTEM_ERRORS[code]) || message;
}

/** Errors of the operating system that a user can do something about. */
const SYSTEM_ERRORS: Record<string, string> = {
  ENOSPC: 'there is no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'this is a directory',
  EPIPE: 'its reader has ended',
  EIO: 'the device reported an input/output error',
};

/** Prints the error to standard error; returns the exit code. `verbose` adds the stack trace. */
export function reportError(error: unknown, verbose: boolean): number {
  const { message, exitCode } = describe(error);
  process.stderr.write(`stmixer: ${message}\n`);
  if (verbose && error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}

function describe(error: unknown): { message: string; exitCode: number } {
  if (error instanceof UserError) return { message: error.message, exitCode: error.exitCode };
  const part = partFailure(error);
  if (part !== null) return { message: part, exitCode: 1 };
  const { code, path } = error as NodeJS.ErrnoException;
  if (code && SYSTEM_ERRORS[code]) {
    return { message: `${SYSTEM_ERRORS[code]}${path ? `: ${path}` : ''}`, exitCode: 1 };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { message: `unexpected error: ${text} (--verbose shows where it came from)`, exitCode: 1 };
}
