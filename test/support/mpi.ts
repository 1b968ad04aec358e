/** @file Starts programs as several processes, with the MPI launchers of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Finished } from './cli.js';

/** A launcher of one of the two families. */
export interface MpiLauncher {
  readonly family: 'Open MPI' | 'MPICH';
  readonly program: string;
  readonly options: readonly string[];
}

/** Debian's names: both families can be installed together. */
const LAUNCHERS: readonly MpiLauncher[] = [
  {
    family: 'Open MPI',
    program: 'mpirun.openmpi',
    // Two cores are fewer than the processes, and containers run as root.
    options: ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none'],
  },
  { family: 'MPICH', program: 'mpirun.mpich', options: [] },
];

/** The launchers that are installed. */
export const launchers = LAUNCHERS.filter(({ program }) => isInstalled(program));

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

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
