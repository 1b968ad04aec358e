/** @file Loads and runs the program, and explains why if it cannot be loaded. */
import { closeDebugger } from './close_debugger.js';
import { loadFailure } from './load_failure.js';

/** Signals that arrived before the program was loaded. */
export interface EarlySignals {
  readonly received: NodeJS.Signals[];
  /** The listener that collects them. */
  readonly hold: (signal: NodeJS.Signals) => void;
}

/** Loads the modules that may be missing or damaged, late enough that a failure can be explained. */
async function loadProgram() {
  const { main } = await import('../main.js');
  const { reportError } = await import('../errors.js');
  const { HANG_UP_IS_IGNORED } = await import('./hang_up.js');
  const { holdSignals } = await import('./held_signals.js');
  return { main, reportError, HANG_UP_IS_IGNORED, holdSignals };
}

/** Runs the command line of this process and sets its exit code. */
export async function start({ received, hold }: EarlySignals): Promise<void> {
  if (await closeDebugger()) received.push('SIGUSR1');
  let program: Awaited<ReturnType<typeof loadProgram>>;
  try {
    program = await loadProgram();
  } catch (error) {
    console.error(`stmixer: ${loadFailure(error)}`);
    if (process.argv.includes('--verbose')) console.error(error);
    process.exitCode = 1;
    return;
  }
  process.on('uncaughtException', (error) => {
    process.exit(program.reportError(error, process.argv.includes('--verbose')));
  });
  program.holdSignals(received);
  process.off('SIGUSR1', hold);
  if (!program.HANG_UP_IS_IGNORED) {
    process.off('SIGHUP', hold);
    if (received.includes('SIGHUP')) process.kill(process.pid, 'SIGHUP');
  }
  await program.main(process.argv);
}
