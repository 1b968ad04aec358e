/** @file What the memory estimate of a test needs to know beside the configuration. */
import type { Config } from '../../src/config/index.js';
import { Detector } from '../../src/model/detector.js';
import type { MemoryFacts } from '../../src/training/memory/estimate.js';

/** Facts of a run of the configured model on the `onnx` engine that does not evaluate. */
export function memoryFacts(
  cfg: Config,
  more: Pick<MemoryFacts, 'clip' | 'processBytes'> & Partial<MemoryFacts>,
): MemoryFacts {
  return {
    parameters: [...new Detector(cfg).namedParameters()],
    testClip: null,
    savesBesideTraining: false,
    ...more,
  };
}
