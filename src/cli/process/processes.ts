/** @file A command as one of several processes: joining the others, and ending together with them. */
import { hostname } from 'node:os';
import { detectLaunch } from '../../distributed/launch.js';
import { ALONE, type ProcessGroup } from '../../distributed/process_group.js';
import { machineProbe } from '../../engine/probe.js';
import { PeerError } from '../../errors.js';
import { reportError } from '../errors.js';
import { exitAtOnce } from './exit.js';
import type { StopSignals } from './signals.js';

/**
 * Does the work of a command together with the other processes of its launch, if there are any. An error of one process ends all of
 * them, and process 0 prints it. Throws what `work` throws if this process is alone.
 */
export async function withProcesses(
  verbose: boolean,
  work: (processes: ProcessGroup) => Promise<void>,
): Promise<void> {
  const launch = detectLaunch(process.env);
  if (!launch) return await work(ALONE);
  // Late, because few commands need it.
  const { joinProcesses } = await import('../../distributed/mpi/mpi_process_group.js');
  const processes = joinProcesses(launch, machineProbe());
  // At once: the launcher ends this process as soon as another one has ended with an error.
  if (processes.rank === 0) processes.onError((error) => void reportError(error, false));
  try {
    await work(processes);
    await processes.close();
  } catch (error) {
    await endAll(error, processes, verbose);
  }
}

/** Ends this process and the others with the exit code of an error. */
async function endAll(error: unknown, processes: ProcessGroup, verbose: boolean): Promise<never> {
  const isKnown = await processes.announceError(error);
  // The standard error of process 0 is the one that people read.
  const where =
    processes.rank === 0 || error instanceof PeerError ? '' : `process ${processes.rank} on ${hostname()}: `;
  const exitCode = isKnown ? exitCodeOf(error) : reportError(error, verbose, where);
  // MPI cannot end in order any more.
  return await exitAtOnce(exitCode);
}

function exitCodeOf(error: unknown): number {
  return error instanceof Error && 'exitCode' in error ? Number(error.exitCode) : 1;
}

/** Makes a signal to any of the processes one to all of them. */
export function shareSignals(stop: StopSignals, processes: ProcessGroup): void {
  processes.onStop((signal) => stop.receive(signal));
  stop.signal.addEventListener('abort', () => {
    if (stop.name) void processes.announceStop(stop.name);
  });
}
