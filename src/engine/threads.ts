/** @file How many threads an operation may use. */
import { EngineError } from '../errors.js';
import type { Probe } from './probe.js';

/**
 * STMIXER_THREADS, else TF_NUM_INTRAOP_THREADS, else the processors this process may use. Throws EngineError where
 * the variable is no positive integer.
 */
export function threadCount(probe: Probe): number {
  for (const name of ['STMIXER_THREADS', 'TF_NUM_INTRAOP_THREADS']) {
    const text = probe.env[name];
    if (text === undefined || text.trim() === '') continue;
    const threads = Number(text);
    if (Number.isInteger(threads) && threads >= 1) return threads;
    if (name === 'STMIXER_THREADS')
      throw new EngineError(`STMIXER_THREADS is '${text}': expected a whole number of threads, at least 1`);
  }
  return Math.max(1, Math.min(probe.processors, containerProcessors(probe)));
}

/**
 * The same for libraries whose kernels fill a core with one thread: without a setting, one for each core. Where two
 * logical processors share a core, the second thread only takes cache from the first.
 */
export function coreThreadCount(probe: Probe): number {
  const threads = threadCount(probe);
  const isSet = ['STMIXER_THREADS', 'TF_NUM_INTRAOP_THREADS'].some((name) => probe.env[name]?.trim());
  return isSet ? threads : Math.min(threads, cores(probe));
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

/** A container's share of the processors (cgroup 2), which the libraries do not look at: 64 threads on 2 are slow. */
function containerProcessors(probe: Probe): number {
  const [quota, period] = (probe.readText('/sys/fs/cgroup/cpu.max') ?? 'max').split(/\s+/).map(Number);
  return quota > 0 && period > 0 ? Math.ceil(quota / period) : Number.POSITIVE_INFINITY;
}
