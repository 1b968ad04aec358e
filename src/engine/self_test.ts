/** @file Runs a self-test in a process of its own, which a driver may crash. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EXTENSION } from '../util/threads.js';
import type { Probe } from './probe.js';

/** A good driver takes about a second. */
const TIMEOUT_SECONDS = 60;

/** Why a self-test failed. */
export interface SelfTestFailure {
  readonly failure: string;
}

/** A program that sends its result as the only message. */
export interface SelfTestProgram {
  /** The module's URL without its extension. */
  readonly module: URL;
  readonly args: readonly string[];
  readonly env: Probe['env'];
}

/** Returns the message of the program, or how the process ended without one. */
export async function runSelfTestProgram<T>({
  module,
  args,
  env,
}: SelfTestProgram): Promise<T | SelfTestFailure> {
  const child = fork(fileURLToPath(module) + EXTENSION, [...args], {
    env,
    execArgv: EXTENSION === '.ts' ? ['--import', 'tsx'] : [],
    stdio: 'ignore',
    timeout: 1000 * TIMEOUT_SECONDS,
  });
  return new Promise((resolve) => {
    child.on('message', (result) => resolve(result as T));
    child.on('error', ({ message }) => resolve({ failure: message }));
    // After a message this changes nothing.
    child.on('close', (code, signal) => {
      const end = signal ? `its process was ended by ${signal}` : `its process ended with code ${code}`;
      resolve({ failure: end });
    });
  });
}
