/** @file Starts MPI in this process. */
import { fstatSync } from 'node:fs';
import type { Probe } from '../../engine/probe.js';
import { CommunicationError } from '../../errors.js';
import { loadLibrary } from '../../util/native/load_library.js';
import { Out } from '../../util/native/native.js';
import type { Launch } from '../launch.js';
import { MpiFunctions } from './functions.js';
import { mpiCandidates } from './library.js';

/** MPI_THREAD_FUNNELED: only the thread that starts MPI calls it. */
const FUNNELED = 1;

/**
 * Loads the MPI library of the launcher and starts it, which waits for all other processes of the launch. Throws
 * CommunicationError.
 */
export function startMpi(launch: Launch, probe: Pick<Probe, 'env' | 'exists' | 'readLink'>): MpiFunctions {
  refuseLostConnection(probe.env);
  leaveMemoryFunctionsAlone();
  shareTheSums();
  const { path, mpi } = loadMpi(launch, probe);
  const { abi } = mpi;
  mpi.call('MPI_Init_thread', null, null, FUNNELED, new Out().pointer);
  mpi.call('MPI_Comm_set_errhandler', abi.world, abi.errorsReturn);
  const size = mpi.integer('MPI_Comm_size', abi.world);
  if (size === launch.size) return mpi;
  const remedy =
    launch.launcher === 'srun'
      ? 'start them with srun --mpi=pmix or --mpi=pmi2 (srun --mpi=list shows what there is)'
      : `use the mpirun of this MPI, or set STMIXER_MPI to the libmpi.so of that ${launch.launcher}`;
  throw new CommunicationError(
    `${launch.launcher} has started ${launch.size} processes, but ${path} (${mpi.version()}) sees ${size}: they do not belong ` +
      `together; ${remedy}`,
  );
}

/**
 * MPICH's mpiexec gives each process an open socket. Node closes such files in the programs that it starts, and
 * MPI_Init would then end the process.
 */
function refuseLostConnection({ PMI_FD }: Probe['env']): void {
  if (PMI_FD === undefined || isSocket(Number(PMI_FD))) return;
  throw new CommunicationError(
    'the connection to mpiexec is lost, as happens if it starts stmixer through npx, npm or another program of Node. Start ' +
      'node_modules/.bin/stmixer itself',
  );
}

function isSocket(file: number): boolean {
  try {
    return fstatSync(file).isSocket();
  } catch {
    return false;
  }
}

/**
 * UCX, which many MPI libraries send messages with, rewrites the memory functions of the C library to notice what is unmapped. Node's
 * other threads are calling them at that moment: with MPICH 4.0.2 and UCX 1.13, 4 of 40 programs crashed or hung, and with this none of
 * 50. Without these events UCX keeps no list of registered memory, which costs time on networks that need one.
 */
function leaveMemoryFunctionsAlone(): void {
  process.env.UCX_MEM_EVENTS ??= 'n';
}

/**
 * By default Open MPI adds up all numbers in one process, which then sends the sums to the others. Here each process adds up its
 * share of the numbers (3 is Rabenseifner's algorithm). Releases before 4.1 do not know this setting.
 */
function shareTheSums(): void {
  process.env.OMPI_MCA_coll_libnbc_iallreduce_algorithm ??= '3';
}

function loadMpi(launch: Launch, probe: Pick<Probe, 'env' | 'exists' | 'readLink'>) {
  const candidates = mpiCandidates({ probe, launch });
  const failures: string[] = [];
  for (const path of candidates) {
    try {
      // The plug-ins of Open MPI look for its functions among those of the process.
      return { path, mpi: new MpiFunctions(loadLibrary(path, { global: true })) };
    } catch (error) {
      failures.push(`${path}: ${(error as Error).message}`);
    }
  }
  throw new CommunicationError(
    `${launch.launcher} has started ${launch.size} processes, but there is no MPI library that works. Set STMIXER_MPI to the ` +
      `libmpi.so that belongs to it. Tried: ${failures.join('; ')}`,
  );
}
