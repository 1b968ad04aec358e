/**
 * @file Standard output and standard error that do not take what is written: a pipe whose reader has ended, a full disk, a
 * terminal that is gone.
 */
import { systemErrorText } from '../files/system_errors.js';

/** Says where to look when standard output fails; null: the program ends then. */
let whatGoesOn: string | null = null;
let wasTold = false;

/** Handles failures of both streams from now on: they end a program whose only work is to print something. */
export function watchOutput(): void {
  process.stdout.on('error', handleLoss);
  // There is no place left to say anything.
  process.stderr.on('error', () => {});
}

/**
 * For commands whose work is worth more than their console: from now on they go on when standard output fails, and say once
 * on standard error where to look instead, e.g. "the log is in output/log.jsonl".
 */
export function goOnWithoutOutput(instead: string): void {
  whatGoesOn = instead;
}

function handleLoss(error: NodeJS.ErrnoException): void {
  if (whatGoesOn === null) {
    // A reader that has seen enough (`| head`) is no error.
    if (error.code === 'EPIPE') process.exit();
    process.stderr.write(`stmixer: standard output: ${systemErrorText(error)}\n`);
    process.exit(1);
  }
  if (wasTold) return;
  wasTold = true;
  process.stderr.write(
    `stmixer: standard output cannot be written: ${systemErrorText(error)}; going on without it: ${whatGoesOn}\n`,
  );
}
