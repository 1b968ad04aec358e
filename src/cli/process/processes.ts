/** @file A command as one of several processes: joining the others, and ending together with them. */
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { joinProcesses } from '../../distributed/join.js';
import { broadcastJson } from '../../distributed/json_values.js';
import type { ProcessGroup } from '../../distributed/process_group.js';
import { ConfigError, PeerError } from '../../errors.js';
import { reportError } from '../errors.js';
import { exitAtOnce } from './exit.js';
import type { StopSignals } from './signals.js';

/**
 * Does the work of a command together with the other processes of its launch, if there are any. An error of one process
 * ends all of them, and process 0 prints it. Throws what `work` throws if this process is alone.
 */
export async function withProcesses(
  verbose: boolean,
  work: (processes: ProcessGroup) => Promise<void>,
): Promise<void> {
  const processes = await joinProcesses();
  if (processes.size === 1) return await work(processes);
  // At once: the launcher ends this process as soon as another one has ended with an error.
  if (processes.rank === 0) processes.onError((error) => void reportError(error, false));
  try {
    await refuseOtherArguments(processes);
    await work(processes);
    await processes.close();
  } catch (error) {
    await endAll(error, processes, verbose);
  }
}

/** Throws ConfigError if this process has another command than process 0, which decides about everything. */
async function refuseOtherArguments({ rank, communicator }: ProcessGroup): Promise<void> {
  const own = process.argv.slice(2);
  const first = await broadcastJson(communicator, own);
  if (isDeepStrictEqual(own, first)) return;
  throw new ConfigError(
    `process ${rank} has other arguments (${own.join(' ')}) than process 0 (${first.join(' ')}), but all processes of a ` +
      'launch do one training together. For a training of its own in each process, set STMIXER_MPI=none',
  );
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
