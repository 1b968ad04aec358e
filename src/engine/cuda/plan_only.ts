/** @file The engine without a GPU: it records operations and compiles programs, but runs nothing. */
import { dryRun } from '../dry_run/dry_run.js';
import type { Program } from './compile/program.js';
import { cudaDryEngine } from './dry_engine.js';
import type { Policy } from './kernels/lowering.js';

/** Does `work` on a backend that only plans, and calls `onRun` for each program that would run. */
export function planOnly<T>(
  policy: Policy,
  onRun: (program: Program) => void,
  work: () => Promise<T>,
): Promise<T> {
  return dryRun(work, { engine: cudaDryEngine(policy, onRun) });
}
