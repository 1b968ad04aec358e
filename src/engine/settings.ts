/** @file The engine's settings in a configuration. */
import type { Config } from '../config/index.js';
import { machineProbe, type Probe } from './probe.js';
import { resolveThreads, shareOfCores } from './threads.js';
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
 * The settings of one of several processes on this machine: each takes a GPU of its own unless the configuration names one, and its
 * part of the cores unless the user says how many threads. Throws EngineError.
 */
export function settingsOfProcess(
  cfg: Config,
  local: LocalPlace,
  probe: Probe = machineProbe(),
): ReturnType<typeof engineSettings> & Pick<EngineRequest, 'local'> {
  const settings = { ...engineSettings(cfg), local };
  const isChosen = resolveThreads(settings.threads, probe.env) !== null;
  const { onSameCores } = local;
  if (onSameCores === 1 || isChosen) return settings;
  return { ...settings, threads: shareOfCores(onSameCores, probe).threads };
}
