/** @file The MPI launchers of this machine, for tests and benchmarks. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

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
