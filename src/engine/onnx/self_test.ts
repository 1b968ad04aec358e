/** @file A test of a GPU in a process of its own, which a driver may crash: right results, and the speed of products. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EXTENSION } from '../../util/threads.js';
import type { PowerPreference } from '../gpu/dawn_order.js';
import type { Probe } from '../probe.js';

/** A good driver takes about a second. */
const TIMEOUT_SECONDS = 60;

export type SelfTestResult =
  | { readonly gpuGflops: number; readonly cpuGflops: number }
  | { readonly failure: string };

/** Tests the GPU that Dawn takes with this preference and environment. */
export async function runSelfTest(
  powerPreference: PowerPreference,
  env: Probe['env'],
): Promise<SelfTestResult> {
  const program = fileURLToPath(new URL(`./self_test_process${EXTENSION}`, import.meta.url));
  const child = fork(program, [powerPreference], {
    env,
    execArgv: EXTENSION === '.ts' ? ['--import', 'tsx'] : [],
    stdio: 'ignore',
    timeout: 1000 * TIMEOUT_SECONDS,
  });
  return new Promise((resolve) => {
    child.on('message', (result) => resolve(result as SelfTestResult));
    child.on('error', ({ message }) => resolve({ failure: message }));
    // After a message this changes nothing.
    child.on('close', (code, signal) => {
      const end = signal ? `its process was ended by ${signal}` : `its process ended with code ${code}`;
      resolve({ failure: end });
    });
  });
}
