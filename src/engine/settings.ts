/** @file The engine's settings in a configuration. */
import type { Config } from '../config/index.js';
import type { EngineRequest } from './types.js';

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
