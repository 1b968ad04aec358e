/** @file The MPI launchers and compilers of this machine, for tests and benchmarks. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program that starts processes of one of the two families. */
export interface MpiLauncher {
  readonly family: 'Open MPI' | 'MPICH';
  readonly program: string;
  readonly options: readonly string[];
}

/** An MPI of this machine, and what compiles C programs for it. */
export interface MpiInstallation extends MpiLauncher {
  readonly compiler: string;
}

/** Debian's names: both families can be installed together. */
const LAUNCHERS: readonly MpiInstallation[] = [
  {
    family: 'Open MPI',
    program: 'mpirun.openmpi',
    // Two cores are fewer than the processes, and containers run as root.
    options: ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none'],
    compiler: 'mpicc.openmpi',
  },
  { family: 'MPICH', program: 'mpirun.mpich', options: [], compiler: 'mpicc.mpich' },
];

/** The launchers that are installed. */
export const launchers = LAUNCHERS.filter(({ program }) => isInstalled(program));

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
