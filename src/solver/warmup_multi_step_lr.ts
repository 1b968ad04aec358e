/** @file Learning rates that fall by a factor at given iterations, after a warm-up. */
import { LrSchedule } from './lr_schedule.js';
import { type WarmupSettings, warmupFactorAt, warmupProblem } from './warmup.js';

export type WarmupMultiStepSettings = WarmupSettings & {
  /** Iterations at which the rates are multiplied by `gamma`, in ascending order. */
  milestones: readonly number[];
  gamma: number;
};

/** Milestones out of order and unknown warm-up methods are ConfigErrors. */
export class WarmupMultiStepLR extends LrSchedule<WarmupMultiStepSettings> {
  protected problemWith(settings: WarmupMultiStepSettings): string | null {
    const { milestones, gamma } = settings;
    if (milestones.some((milestone, i) => !(i === 0 || milestones[i - 1] <= milestone))) {
      return `SOLVER.STEPS: expected ascending numbers, found milestones at iterations [${milestones.join(', ')}]`;
    }
    if (!Number.isFinite(gamma)) return `SOLVER.GAMMA: expected a number, found ${gamma}`;
    return warmupProblem(settings);
  }

  ratesAt(iterations: number): number[] {
    const { milestones, gamma } = this.settings;
    const passed = milestones.filter((milestone) => milestone <= iterations).length;
    const warmup = warmupFactorAt(iterations, this.settings);
    return this.baseLrs.map((lr) => lr * warmup * gamma ** passed);
  }
}
