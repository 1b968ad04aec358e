/** @file The warm-up that every schedule begins with. */
import type { ScheduleSettings } from './lr_schedule.js';

export const WARMUP_METHODS = ['constant', 'linear'] as const;
export type WarmupMethod = (typeof WARMUP_METHODS)[number];

/** Names are those of the official state dicts. A type, so that it is a `ScheduleSettings`. */
export type WarmupSettings = ScheduleSettings & {
  /** Factor of the rates at the first iteration. */
  warmup_factor: number;
  /** Iterations until the rates are whole; 0 = no warm-up. */
  warmup_iters: number;
  warmup_method: string;
};

/** What is wrong with the settings, or null. */
export function warmupProblem({ warmup_method, warmup_iters, warmup_factor }: WarmupSettings): string | null {
  if (!WARMUP_METHODS.some((method) => method === warmup_method)) {
    return `SOLVER.WARMUP_METHOD: expected "constant" or "linear", found "${warmup_method}"`;
  }
  if (!(warmup_iters >= 0)) return `warm-up iterations: expected a number from 0, found ${warmup_iters}`;
  if (!Number.isFinite(warmup_factor)) {
    return `SOLVER.WARMUP_FACTOR: expected a number, found ${warmup_factor}`;
  }
  return null;
}

/** Factor of the rates when `iterations` are done: 1 from the end of the warm-up. */
export function warmupFactorAt(
  iterations: number,
  { warmup_factor, warmup_iters, warmup_method }: WarmupSettings,
): number {
  if (iterations >= warmup_iters) return 1;
  if (warmup_method === 'constant') return warmup_factor;
  const alpha = iterations / warmup_iters;
  return warmup_factor * (1 - alpha) + alpha;
}
