/** @file Learning rates that fall along half a period of the cosine, after a warm-up. */
import { LrSchedule } from './lr_schedule.js';
import { type WarmupSettings, warmupFactorAt, warmupProblem } from './warmup.js';

export type HalfPeriodCosSettings = WarmupSettings & {
  /** Iteration at which the rates reach 0. */
  max_iters: number;
};

/** Unknown warm-up methods are ConfigErrors. */
export class HalfPeriodCosStepLR extends LrSchedule<HalfPeriodCosSettings> {
  protected problemWith(settings: HalfPeriodCosSettings): string | null {
    if (!(settings.max_iters > 0)) {
      return `SOLVER.MAX_EPOCH × ITER_PER_EPOCH: expected at least 1, found ${settings.max_iters}`;
    }
    return warmupProblem(settings);
  }

  /** The cosine starts at iteration 0, not at the end of the warm-up: the rates fall abruptly there. */
  ratesAt(iterations: number): number[] {
    const { max_iters, warmup_iters } = this.settings;
    const factor =
      iterations < warmup_iters
        ? warmupFactorAt(iterations, this.settings)
        : 0.5 * (Math.cos((Math.PI * iterations) / max_iters) + 1);
    return this.baseLrs.map((lr) => lr * factor);
  }
}
