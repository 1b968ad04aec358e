/** @file Chooses how many threads an operation may use. */
import { EngineError } from '../errors.js';
import { cpuQuota, cpusetSize, type Limit } from '../util/cgroups.js';
import type { Probe } from './probe.js';

/** A number of threads and its origin. */
export interface ThreadChoice {
  readonly threads: number;
  /** The origin in a few words, such as "one for each core". */
  readonly reason: string;
}

/**
 * The number of threads that the user set: STMIXER_THREADS, else `requested` (ENGINE.THREADS; 0 is no setting), else
 * TF_NUM_INTRAOP_THREADS. Null without a setting. Throws EngineError if STMIXER_THREADS is not a positive integer.
 */
export function resolveThreads(requested: number, env: Probe['env']): ThreadChoice | null {
  const ours = env.STMIXER_THREADS?.trim();
  if (ours && !isThreadCount(ours)) {
    const text = env.STMIXER_THREADS;
    throw new EngineError(`STMIXER_THREADS is '${text}': expected a whole number of threads, at least 1`);
  }
  const threads = Number(ours) || requested;
  if (threads > 0) return { threads, reason: 'set by STMIXER_THREADS or ENGINE.THREADS' };
  const tensorflows = env.TF_NUM_INTRAOP_THREADS?.trim();
  if (!tensorflows || !isThreadCount(tensorflows)) return null;
  return { threads: Number(tensorflows), reason: 'set by TF_NUM_INTRAOP_THREADS' };
}

function isThreadCount(text: string): boolean {
  return Number.isInteger(Number(text)) && Number(text) >= 1;
}

/**
 * Returns the number of threads that the user set, or else one for each processor that this process may use. It respects the
 * limits of control groups, which the libraries ignore: 64 threads on 2 processors are slow. Throws EngineError.
 */
export function chooseThreads(probe: Probe, requested = 0): ThreadChoice {
  return resolveThreads(requested, probe.env) ?? usableProcessors(probe);
}

/**
 * Like `chooseThreads`, but without a setting one for each core. For libraries with kernels that fill a core with one
 * thread: a second thread on the same core only takes cache from the first. Throws EngineError.
 */
export function chooseCoreThreads(probe: Probe, requested = 0): ThreadChoice {
  return resolveThreads(requested, probe.env) ?? usableCores(probe);
}

/** Returns the number of processors that this process may use, at least 1. Ignores the user's settings. */
export function usableProcessors(probe: Probe): ThreadChoice {
  const read = (path: string) => probe.readText(path);
  const choices: ThreadChoice[] = [
    { threads: probe.processors, reason: 'one for each processor' },
    ...limited(cpusetSize(read), 'the cpuset'),
    ...limited(cpuQuota(read), 'the CPU quota'),
  ];
  return choices.reduce((min, choice) => (choice.threads < min.threads ? choice : min));
}

/** Returns the number of cores that this process may use, at least 1. Ignores the user's settings. */
export function usableCores(probe: Probe): ThreadChoice {
  const processors = usableProcessors(probe);
  const threads = coreCount(probe);
  return threads >= processors.threads ? processors : { threads, reason: 'one for each core' };
}

/** Returns the number of cores for one of several processes that may use the same ones, at least 1. */
export function shareOfCores(numProcesses: number, probe: Probe): ThreadChoice {
  const all = usableCores(probe);
  if (numProcesses === 1) return all;
  const threads = Math.max(1, Math.floor(all.threads / numProcesses));
  return { threads, reason: `${all.reason}, shared by ${numProcesses} processes` };
}

function limited(limit: Limit | null, what: string): ThreadChoice[] {
  if (!limit) return [];
  const processors = Number(limit.value.toFixed(2));
  const threads = Math.max(1, Math.ceil(processors));
  return [{ threads, reason: `${what} in ${limit.path} allows ${processors}` }];
}

/** Cores of this machine, infinity if unknown. Linux lists the logical processors of each core. */
function coreCount(probe: Probe): number {
  const folder = '/sys/devices/system/cpu';
  const siblings = probe
    .list(folder)
    .filter((name) => /^cpu\d+$/.test(name))
    .flatMap((name) => probe.readText(`${folder}/${name}/topology/thread_siblings_list`)?.trim() ?? []);
  return new Set(siblings).size || Number.POSITIVE_INFINITY;
}
