/** @file Starts programs as several processes, with the MPI launchers of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { MpiLauncher } from '../../tools/mpi/launchers.js';
import type { Finished } from './cli.js';

export { launchers } from '../../tools/mpi/launchers.js';

export interface MpiRun {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** What the processes have written so far. */
  output(): string;
}

/** Starts `count` processes of Node with these arguments. */
export function startMpiRun(
  { program, options }: MpiLauncher,
  count: number,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): MpiRun {
  const child = spawn(program, [...options, '-np', `${count}`, process.execPath, ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk) => {
      text[name] += chunk;
    });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => resolve({ code, ...text }));
  });
  return { child, finished, output: () => text.stdout + text.stderr };
}
