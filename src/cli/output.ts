/** @file Failures of standard output and standard error: a pipe whose reader has ended, a full disk, a lost terminal. */
import { systemErrorText } from '../files/system_errors.js';

/** Message for a failure of standard output that the command survives; null if the failure ends the program. */
let continueMessage: string | null = null;
let isReported = false;

/** Handles failures of both streams from now on. They end a program whose only work is to print something. */
export function watchOutput(): void {
  process.stdout.on('error', handleLoss);
  // There is no stream left to report this on.
  process.stderr.on('error', () => {});
}

/**
 * Makes the command continue from now on if standard output fails. Standard error then says once where to look instead,
 * e.g. "the log is in output/log.jsonl".
 */
export function continueWithoutOutput(instead: string): void {
  continueMessage = instead;
}

/** Writes a note for the user to standard error, apart from the command's result. */
export function printNote(message: string): void {
  process.stderr.write(`${message}\n`);
}

function handleLoss(error: NodeJS.ErrnoException): void {
  if (continueMessage === null) {
    // It is no error if the reader has seen enough (`| head`).
    if (error.code === 'EPIPE') process.exit();
    process.stderr.write(`stmixer: standard output: ${systemErrorText(error)}\n`);
    process.exit(1);
  }
  if (isReported) return;
  isReported = true;
  process.stderr.write(
    `stmixer: cannot write to standard output: ${systemErrorText(error)}; continuing without it: ${continueMessage}\n`,
  );
}
