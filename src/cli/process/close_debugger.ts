/** @file Closes the debugger that Node opens if a SIGUSR1 comes before the first line of JavaScript. */
import { setImmediate } from 'node:timers/promises';

/** Closes the debugger; returns whether it was open. A debugger that was asked for with `--inspect` stays open. */
export async function closeDebugger(): Promise<boolean> {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (/--inspect(?!-port|-publish)/.test(options)) return false;
  // Some builds of Node have no debugger.
  const inspector = await import('node:inspector').catch(() => null);
  // Node opens it from a thread, which may be late.
  await setImmediate();
  if (!inspector?.url()) return false;
  inspector.close();
  console.error('stmixer: a SIGUSR1 during the start has opened the debugger of Node; it is closed again');
  return true;
}
