/** @file The launcher of a process is recognised by the variables that it sets. */
import { describe, expect, it } from 'vitest';
import { detectLaunch, type Launch } from './launch.js';

const OPEN_MPI = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
const MPICH = { PMI_RANK: '1', PMI_SIZE: '2', PMI_FD: '8', MPI_LOCALRANKID: '1', MPI_LOCALNRANKS: '2' };
/** A batch script, or a shell of salloc, in a job of eight tasks on four machines. */
const JOB = { SLURM_JOB_ID: '17', SLURM_NTASKS: '8', SLURM_NPROCS: '8', SLURM_NNODES: '4' };
const BATCH_SCRIPT = { ...JOB, SLURM_PROCID: '0', SLURM_LOCALID: '0' };
const SRUN = { ...JOB, SLURM_STEP_NUM_TASKS: '8', SLURM_PROCID: '3', SLURM_LOCALID: '1' };
/** The helper that an mpirun starts on each machine of a job, and so the processes below it. */
const HELPER = { ...JOB, SLURM_STEP_NUM_TASKS: '4', SLURM_PROCID: '2', SLURM_LOCALID: '0' };
const TORCHRUN = { WORLD_SIZE: '4', RANK: '1', LOCAL_RANK: '1', TORCHELASTIC_RUN_ID: 'none' };

const found = (env: Record<string, string>) => detectLaunch(env, ['train']);

describe('several processes', () => {
  it.each<[string, Record<string, string>, Launch]>([
    ['mpirun of Open MPI', OPEN_MPI, { launcher: 'mpirun', family: 'Open MPI', rank: 1, size: 2 }],
    ['mpirun of MPICH', MPICH, { launcher: 'mpirun', family: 'MPICH', rank: 1, size: 2 }],
    ['srun', SRUN, { launcher: 'srun', family: null, rank: 3, size: 8 }],
    [
      'srun with its plug-in pmi2',
      { ...SRUN, PMI_RANK: '3', PMI_SIZE: '8', PMI_FD: '11' },
      { launcher: 'srun', family: null, rank: 3, size: 8 },
    ],
    [
      'srun with its plug-in pmix',
      { ...SRUN, PMIX_RANK: '3', PMIX_NAMESPACE: 'slurm.pmix.17.0' },
      { launcher: 'srun', family: null, rank: 3, size: 8 },
    ],
    [
      'an mpirun of Open MPI in a job of Slurm',
      { ...HELPER, ...OPEN_MPI },
      { launcher: 'mpirun', family: 'Open MPI', rank: 1, size: 2 },
    ],
    [
      'an mpirun of MPICH in a job of Slurm',
      { ...HELPER, ...MPICH },
      { launcher: 'mpirun', family: 'MPICH', rank: 1, size: 2 },
    ],
    [
      'an mpirun of MPICH in a process of Open MPI that is alone',
      { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1', ...MPICH },
      { launcher: 'mpirun', family: 'MPICH', rank: 1, size: 2 },
    ],
    [
      'another launcher that speaks PMI',
      { PMI_RANK: '5', PMI_SIZE: '6' },
      { launcher: 'mpirun', family: 'MPICH', rank: 5, size: 6 },
    ],
    [
      'srun in a script that also sets the variables of PyTorch',
      { ...SRUN, WORLD_SIZE: '8', RANK: '3' },
      { launcher: 'srun', family: null, rank: 3, size: 8 },
    ],
  ])('are recognised under %s', (_, env, launch) => {
    expect(found(env)).toEqual(launch);
  });
});

describe('one process', () => {
  it.each<[string, Record<string, string>]>([
    ['without a launcher', {}],
    ['under mpirun -np 1', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }],
    ['in a batch script, which Slurm runs once', BATCH_SCRIPT],
    ['in a batch script that counts as a step of one task', { ...BATCH_SCRIPT, SLURM_STEP_NUM_TASKS: '1' }],
    ['under mpirun with STMIXER_MPI=none', { ...OPEN_MPI, STMIXER_MPI: 'none' }],
    ['under torchrun with one process', { ...TORCHRUN, WORLD_SIZE: '1', RANK: '0' }],
    ['with a size that is no number', { PMI_RANK: '0', PMI_SIZE: 'many' }],
  ])('is recognised %s', (_, env) => {
    expect(found(env)).toBeNull();
  });
});

describe('torchrun with several processes', () => {
  it.each<[string, Record<string, string>]>([
    ['torchrun', TORCHRUN],
    ['an old torch.distributed.launch', { WORLD_SIZE: '4', RANK: '1' }],
    ['one torchrun on each machine, which srun has started', { ...HELPER, ...TORCHRUN }],
  ])('is refused, with the command line to use: %s', (_, env) => {
    const words = [
      'train',
      '--local_rank=1',
      '--config-file',
      'my file.yaml',
      '--local-rank',
      '1',
      '--resume',
    ];
    expect(() => detectLaunch(env, words)).toThrow(
      "Start it with: mpirun -np 4 stmixer train --config-file 'my file.yaml' --resume (under Slurm, with srun -n 4 in place of mpirun -np 4)",
    );
  });
});
