/** @file A test of a GPU in a process of its own: whether a few kernels of each kind and a product give right results. */
import type { Probe } from '../probe.js';
import { runSelfTestProgram, type SelfTestFailure } from '../self_test.js';
import type { CudaStart } from './start.js';

/** Empty if all results are right. */
export type SelfTestResult = Readonly<Record<string, never>> | SelfTestFailure;

/** Starts the engine in another process and computes with it. */
export function runSelfTest(start: CudaStart, env: Probe['env']): Promise<SelfTestResult> {
  const module = new URL('./self_test_process', import.meta.url);
  return runSelfTestProgram({ module, args: [JSON.stringify(start)], env });
}
