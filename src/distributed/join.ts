/** @file Joining the other processes of a launch. */
import { detectLaunch } from './launch.js';
import { ALONE, type ProcessGroup } from './process_group.js';

/**
 * Joins the other processes that mpirun or srun has started together with this one, and waits for all of them. Returns
 * a group of one for a process that was started alone, and with STMIXER_MPI=none. Throws ConfigError or
 * CommunicationError.
 */
export async function joinProcesses(): Promise<ProcessGroup> {
  const launch = detectLaunch(process.env);
  if (!launch) return ALONE;
  // Late, because few programs need it.
  const { joinMpi } = await import('./mpi/mpi_process_group.js');
  return await joinMpi(launch);
}
