/** @file How many threads an operation may use. */
import { EngineError } from '../errors.js';
import { cpuQuota, cpusetSize, type Limit } from '../util/cgroups.js';
import type { Probe } from './probe.js';

/** A number of threads, and what decided it. */
export interface ThreadChoice {
  readonly threads: number;
  /** In a few words, such as "one for each core". */
  readonly reason: string;
}

const SETTINGS = ['STMIXER_THREADS', 'TF_NUM_INTRAOP_THREADS'];

/**
 * STMIXER_THREADS, else TF_NUM_INTRAOP_THREADS, else the processors this process may use, within the limits of its control
 * groups, which the libraries do not look at: 64 threads on 2 processors are slow. Throws EngineError where the variable is no
 * positive integer.
 */
export function chooseThreads(probe: Probe): ThreadChoice {
  for (const name of SETTINGS) {
    const text = probe.env[name];
    if (text === undefined || text.trim() === '') continue;
    const threads = Number(text);
    if (Number.isInteger(threads) && threads >= 1) {
      return {
        threads,
        reason: `set by ${name === 'STMIXER_THREADS' ? 'STMIXER_THREADS or ENGINE.THREADS' : name}`,
      };
    }
    if (name === 'STMIXER_THREADS')
      throw new EngineError(`STMIXER_THREADS is '${text}': expected a whole number of threads, at least 1`);
  }
  return usableProcessors(probe);
}

/**
 * The same for libraries whose kernels fill a core with one thread: without a setting, one for each core. Where two
 * logical processors share a core, the second thread only takes cache from the first.
 */
export function chooseCoreThreads(probe: Probe): ThreadChoice {
  return SETTINGS.some((name) => probe.env[name]?.trim()) ? chooseThreads(probe) : usableCores(probe);
}

/** The number of threads without the reason. */
export function threadCount(probe: Probe): number {
  return chooseThreads(probe).threads;
}

/** Processors that this process may keep busy, at least 1, whatever the settings say. */
export function usableProcessors(probe: Probe): ThreadChoice {
  const read = (path: string) => probe.readText(path);
  const choices: ThreadChoice[] = [
    { threads: probe.processors, reason: 'one for each processor' },
    ...limited(cpusetSize(read), 'the cpuset'),
    ...limited(cpuQuota(read), 'the CPU quota'),
  ];
  return choices.reduce((least, choice) => (choice.threads < least.threads ? choice : least));
}

/** Cores that this process may keep busy, at least 1, whatever the settings say. */
export function usableCores(probe: Probe): ThreadChoice {
  const processors = usableProcessors(probe);
  const number = cores(probe);
  if (number >= processors.threads) return processors;
  return { threads: number, reason: 'one for each core' };
}

function limited(limit: Limit | null, what: string): ThreadChoice[] {
  if (!limit) return [];
  const processors = Number(limit.value.toFixed(2));
  const threads = Math.max(1, Math.ceil(processors));
  return [{ threads, reason: `${what} in ${limit.path} allows ${processors}` }];
}

/** Cores of this machine (Linux tells which logical processors share one); no bound where that is unknown. */
function cores(probe: Probe): number {
  const folder = '/sys/devices/system/cpu';
  const siblings = probe
    .list(folder)
    .filter((name) => /^cpu\d+$/.test(name))
    .flatMap((name) => probe.readText(`${folder}/${name}/topology/thread_siblings_list`)?.trim() ?? []);
  return new Set(siblings).size || Number.POSITIVE_INFINITY;
}
