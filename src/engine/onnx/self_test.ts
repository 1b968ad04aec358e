/** @file A test of a GPU in a process of its own: right results, and the speed of products. */
import type { PowerPreference } from '../gpu/dawn_order.js';
import type { Probe } from '../probe.js';
import { runSelfTestProgram, type SelfTestFailure } from '../self_test.js';

export type SelfTestResult = { readonly gpuGflops: number; readonly cpuGflops: number } | SelfTestFailure;

/** Tests the GPU that Dawn takes with this preference and environment. */
export function runSelfTest(powerPreference: PowerPreference, env: Probe['env']): Promise<SelfTestResult> {
  const module = new URL('./self_test_process', import.meta.url);
  return runSelfTestProgram({ module, args: [powerPreference], env });
}
