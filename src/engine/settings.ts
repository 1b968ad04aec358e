/** @file The engine's settings in a configuration. */
import { cpus } from 'node:os';
import type { Config } from '../config/index.js';
import { machineProbe, type Probe } from './probe.js';
import { resolveThreads, usableCores } from './threads.js';
import type { EngineRequest, LocalPlace } from './types.js';

/** The part of a request that the section ENGINE decides. */
export function engineSettings({
  ENGINE,
}: Config): Required<Pick<EngineRequest, 'threads' | 'gpuIndex' | 'precision' | 'isDeterministic'>> {
  return {
    threads: ENGINE.THREADS,
    gpuIndex: ENGINE.GPU_INDEX,
    precision: ENGINE.PRECISION,
    isDeterministic: ENGINE.DETERMINISTIC,
  };
}

/**
 * The settings of one of `local.size` processes on this machine: each takes a GPU of its own unless the configuration names one,
 * and its part of the cores, unless the launcher has bound it to some, or the configuration says how many. Throws EngineError.
 */
export function settingsOfProcess(
  cfg: Config,
  local: LocalPlace,
  probe: Probe = machineProbe(),
): ReturnType<typeof engineSettings> & Pick<EngineRequest, 'local'> {
  const settings = { ...engineSettings(cfg), local };
  const isChosen = resolveThreads(settings.threads, probe.env) !== null;
  if (local.size === 1 || isChosen) return settings;
  const isBound = probe.processors * local.size <= cpus().length;
  const { threads } = usableCores(probe);
  return { ...settings, threads: isBound ? threads : Math.max(1, Math.floor(threads / local.size)) };
}
