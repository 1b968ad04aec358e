/** @file Which GPU each of several processes on a machine takes. */
import type { Probe } from '../probe.js';
import type { LocalRank, Problem } from '../types.js';

/**
 * The GPU of a process among those that it could take: the one with its number on the machine, or the only one that
 * CUDA_VISIBLE_DEVICES shows it, as Slurm binds processes to GPUs. Undefined if there are none, and a problem if there are too few.
 */
export function gpuOfProcess<G>(
  gpus: readonly G[],
  { rank, size }: LocalRank = { rank: 0, size: 1 },
  { CUDA_VISIBLE_DEVICES }: Probe['env'],
): G | Problem | undefined {
  const isBound = gpus.length === 1 && CUDA_VISIBLE_DEVICES?.trim().split(',').length === 1;
  if (gpus.length === 0 || size === 1 || isBound) return gpus[0];
  if (size <= gpus.length) return gpus[rank];
  const count = gpus.length;
  return {
    what: `${size} processes run on this machine, which has ${count === 1 ? '1 GPU' : `${count} GPUs`} for them`,
    remedy:
      `start ${count} per machine: mpirun -np … --map-by ppr:${count}:node (Open MPI), mpirun -np … -ppn ${count} (MPICH), or ` +
      `srun --ntasks-per-node ${count}`,
  };
}
