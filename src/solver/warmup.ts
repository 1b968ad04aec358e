/** @file The warm-up at the start of every schedule. */
import { WARMUP_METHODS, type WarmupMethod } from '../config/schema/choices.js';
import type { ScheduleSettings } from './lr_schedule.js';

export interface WarmupOptions {
  /** Iterations of the warm-up; default 0 for none. */
  readonly warmupIters?: number;
  /** Factor of the learning rates at the first iteration; default 1/3, as in PyTorch's LinearLR. */
  readonly warmupFactor?: number;
  /** `linear` (default) rises in a straight line; `constant` stays at the factor until the end of the warm-up. */
  readonly warmupMethod?: WarmupMethod;
}

/** Converts options to settings, with the defaults filled in. */
export function warmupSettings({
  warmupIters = 0,
  warmupFactor = 1 / 3,
  warmupMethod = 'linear',
}: WarmupOptions): Record<'warmup_factor' | 'warmup_iters', number> & { warmup_method: string } {
  return { warmup_factor: warmupFactor, warmup_iters: warmupIters, warmup_method: warmupMethod };
}

/** Settings under the names of the official state dicts. */
export type WarmupSettings = ScheduleSettings & {
  /** Factor of the learning rates at the first iteration. */
  warmup_factor: number;
  /** Iterations of the warm-up; 0 for none. */
  warmup_iters: number;
  warmup_method: string;
};

/** Returns the problem with the settings, or null. */
export function warmupProblem({ warmup_method, warmup_iters, warmup_factor }: WarmupSettings): string | null {
  if (!WARMUP_METHODS.some((method) => method === warmup_method)) {
    return `SOLVER.WARMUP_METHOD: expected ${WARMUP_METHODS.map((method) => `"${method}"`).join(' or ')}, found "${warmup_method}"`;
  }
  if (!(warmup_iters >= 0)) return `warm-up iterations: expected a number from 0, found ${warmup_iters}`;
  if (!Number.isFinite(warmup_factor)) {
    return `SOLVER.WARMUP_FACTOR: expected a number, found ${warmup_factor}`;
  }
  return null;
}

/** Factor of the learning rates after `iterations` iterations; 1 from the end of the warm-up. */
export function warmupFactorAt(
  iterations: number,
  { warmup_factor, warmup_iters, warmup_method }: WarmupSettings,
): number {
  if (iterations >= warmup_iters) return 1;
  if (warmup_method === 'constant') return warmup_factor;
  const alpha = iterations / warmup_iters;
  return warmup_factor * (1 - alpha) + alpha;
}
