/** @file Learning rates that fall along half a period of the cosine, after a warm-up. */
import { type LrHolder, LrSchedule } from './lr_schedule.js';
import {
  type WarmupOptions,
  type WarmupSettings,
  warmupFactorAt,
  warmupProblem,
  warmupSettings,
} from './warmup.js';

export interface HalfPeriodCosOptions extends WarmupOptions {
  /** Iteration at which the learning rates reach 0. */
  readonly maxIters: number;
  /** Iterations done; default −1, which starts the schedule. */
  readonly lastEpoch?: number;
}

/** Settings under the names of the official state dicts. */
export type HalfPeriodCosSettings = WarmupSettings & {
  max_iters: number;
};

/** Half a period of the cosine, down to 0. Throws ConfigError on unknown warm-up methods. */
export class HalfPeriodCosStepLR extends LrSchedule<HalfPeriodCosSettings> {
  constructor(optimizer: LrHolder, { maxIters, lastEpoch, ...warmup }: HalfPeriodCosOptions) {
    super(optimizer, { max_iters: maxIters, ...warmupSettings(warmup) }, lastEpoch);
  }

  protected problemWith(settings: HalfPeriodCosSettings): string | null {
    if (!(settings.max_iters > 0)) {
      return `SOLVER.MAX_EPOCH × ITER_PER_EPOCH: expected at least 1, found ${settings.max_iters}`;
    }
    return warmupProblem(settings);
  }

  /** The cosine starts at iteration 0, so the learning rates drop abruptly at the end of the warm-up. */
  lrAt(iterations: number): number[] {
    const { max_iters, warmup_iters } = this.settings;
    const factor =
      iterations < warmup_iters
        ? warmupFactorAt(iterations, this.settings)
        : 0.5 * (Math.cos((Math.PI * iterations) / max_iters) + 1);
    return this.baseLrs.map((lr) => lr * factor);
  }
}
