/** @file Closes the debugger that Node opens if SIGUSR1 arrives before the first line of JavaScript runs. */
import { setImmediate } from 'node:timers/promises';

/** Closes the debugger and returns whether it was open. Leaves a debugger open that was requested with `--inspect`. */
export async function closeDebugger(): Promise<boolean> {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (/--inspect(?!-port|-publish)/.test(options)) return false;
  // Some builds of Node have no debugger.
  const inspector = await import('node:inspector').catch(() => null);
  // Node opens the debugger in another thread, which may take a moment.
  await setImmediate();
  if (!inspector?.url()) return false;
  inspector.close();
  console.error('stmixer: SIGUSR1 during the start opened the debugger of Node; it is closed again');
  return true;
}
