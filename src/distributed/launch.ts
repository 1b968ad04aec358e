/** @file How this process was started: alone, or by mpirun, mpiexec or srun as one of several. */
import { ConfigError } from '../errors.js';

/** The two families of MPI libraries, whose binary interfaces differ. Intel's, Cray's and MVAPICH belong to MPICH's. */
export type MpiFamily = 'Open MPI' | 'MPICH';

/** What the launcher of this process says about it. */
export interface Launch {
  /** The program that started the processes. */
  readonly launcher: 'mpirun' | 'srun';
  /** The family that the launcher belongs to; null for Slurm, which starts both. */
  readonly family: MpiFamily | null;
  readonly rank: number;
  readonly size: number;
  /** Number of this process among those of its machine; null if the launcher does not say. */
  readonly localRank: number | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the launcher's variables. Returns null for a process that was started alone. Throws ConfigError, with the right command
 * line, for a launcher of PyTorch that started several.
 */
export function detectLaunch(env: Environment): Launch | null {
  const read = (name: string) => wholeNumber(env[name]);
  const known: (Omit<Launch, 'rank' | 'size'> & { readonly rank: string; readonly size: string })[] = [
    {
      launcher: 'mpirun',
      family: 'Open MPI',
      rank: 'OMPI_COMM_WORLD_RANK',
      size: 'OMPI_COMM_WORLD_SIZE',
      localRank: read('OMPI_COMM_WORLD_LOCAL_RANK'),
    },
    {
      launcher: 'srun',
      family: null,
      rank: 'SLURM_PROCID',
      size: 'SLURM_STEP_NUM_TASKS',
      localRank: read('SLURM_LOCALID'),
    },
    {
      launcher: 'mpirun',
      family: 'MPICH',
      rank: 'PMI_RANK',
      size: 'PMI_SIZE',
      localRank: read('MPI_LOCALRANKID'),
    },
  ];
  for (const { rank, size, ...launch } of known) {
    const [number, count] = [read(rank), read(size)];
    // A launcher in a job of another one leaves the other's variables in place, with one process.
    if (number !== null && count !== null && count > 1) return { ...launch, rank: number, size: count };
  }
  refuseTorchLauncher(env);
  return null;
}

function refuseTorchLauncher(env: Environment): void {
  const size = wholeNumber(env.WORLD_SIZE);
  if (size === null || size <= 1) return;
  throw new ConfigError(
    `WORLD_SIZE is ${size}: this process was started by torchrun or torch.distributed.launch, and stmixer works together over ` +
      `MPI. Start it with: mpirun -np ${size} stmixer … (or srun, for Slurm), without --local_rank`,
  );
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text.trim()) ? Number(text) : null;
}
