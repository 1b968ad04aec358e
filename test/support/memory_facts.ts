/** @file Facts for the memory estimates of tests. */
import type { MemoryFacts } from '../../src/training/memory/estimate.js';

/** Facts of a run on the `onnx` engine that trains every parameter and does not evaluate. */
export function memoryFacts(
  more: Pick<MemoryFacts, 'clip' | 'processBytes'> & Partial<MemoryFacts>,
): MemoryFacts {
  return { frozen: [], testClip: null, savesBesideTraining: false, place: 'host', processes: 1, ...more };
}
