/** @file Starts the built program, or the sources themselves where they are newer or nothing has been built. */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { closeDebugger } from './debugger.js';
import { loadFailure } from './load_failure.js';

const built = new URL('../dist/cli/main.js', import.meta.url);
const sources = new URL('../src/', import.meta.url);

function isBuilt() {
  if (!existsSync(built)) return false;
  if (!existsSync(sources)) return true;
  const time = statSync(built).mtimeMs;
  const files = readdirSync(sources, { recursive: true }).filter((name) => name.endsWith('.ts'));
  return files.every((name) => statSync(new URL(name, sources)).mtimeMs <= time);
}

function isWritableFolder(path) {
  try {
    accessSync(path, constants.W_OK);
    return statSync(path).isDirectory() && !path.startsWith('/proc/');
  } catch {
    return false;
  }
}

async function loadProgram() {
  if (isBuilt()) return await import(built.href);
  // tsx would keep compiled files there, and make the folder where there is none.
  if (!isWritableFolder(tmpdir())) process.env.TSX_DISABLE_CACHE = '1';
  const { tsImport } = await import('tsx/esm/api');
  return await tsImport('../src/cli/main.ts', import.meta.url);
}

/**
 * Runs the command line of this process. `received` are the signals that came so far, and `hold` is the listener that collects
 * them until the program's own take over. `load` imports src/cli/main.
 */
export async function start({ received, hold, load = loadProgram }) {
  if (await closeDebugger()) received.push('SIGUSR1');
  let program;
  try {
    program = await load();
  } catch (error) {
    console.error(`stmixer: ${loadFailure(error)}`);
    if (process.argv.includes('--verbose')) console.error(error);
    process.exitCode = 1;
    return;
  }
  const { HANG_UP_IS_IGNORED, holdSignals, main, reportError } = program;
  process.on('uncaughtException', (error) => {
    process.exit(reportError(error, process.argv.includes('--verbose')));
  });
  holdSignals(received);
  process.off('SIGUSR1', hold);
  if (!HANG_UP_IS_IGNORED) {
    process.off('SIGHUP', hold);
    if (received.includes('SIGHUP')) process.kill(process.pid, 'SIGHUP');
  }
  await main(process.argv);
}
