/** @file The machines of all processes. */
import { hostname } from 'node:os';
import type { MpiFunctions } from './functions.js';

/** Bytes of a name; longer ones are cut off. */
const BYTES = 256;

/** Returns the name of the machine of each process, by rank. Waits for all processes, which must call this. */
export function hostsOfProcesses(mpi: MpiFunctions): string[] {
  const { world, types } = mpi.abi;
  const own = new Uint8Array(BYTES);
  new TextEncoder().encodeInto(hostname(), own);
  const all = new Uint8Array(BYTES * mpi.integer('MPI_Comm_size', world));
  mpi.call('MPI_Allgather', own, BYTES, types.byte, all, BYTES, types.byte, world);
  const nameAt = (start: number) => new TextDecoder().decode(all.subarray(start, start + BYTES));
  return Array.from({ length: all.length / BYTES }, (_, rank) => nameAt(BYTES * rank).replace(/\0.*$/, ''));
}
