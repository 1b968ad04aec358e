/** @file Learning rates that fall by a factor at given iterations, after a warm-up. */
import { type LrHolder, LrSchedule } from './lr_schedule.js';
import {
  type WarmupOptions,
  type WarmupSettings,
  warmupFactorAt,
  warmupProblem,
  warmupSettings,
} from './warmup.js';

export interface WarmupMultiStepOptions extends WarmupOptions {
  /** Iterations at which the learning rates are multiplied by `gamma`, in ascending order. */
  readonly milestones: readonly number[];
  /** Default 0.1. */
  readonly gamma?: number;
  /** Iterations done; default −1, which starts the schedule. */
  readonly lastEpoch?: number;
}

/** Settings under the names of the official state dicts. */
export type WarmupMultiStepSettings = WarmupSettings & {
  milestones: readonly number[];
  gamma: number;
};

/** Learning rates times `gamma` at each milestone. Throws ConfigError on unordered milestones and unknown warm-up methods. */
export class WarmupMultiStepLR extends LrSchedule<WarmupMultiStepSettings> {
  constructor(
    optimizer: LrHolder,
    { milestones, gamma = 0.1, lastEpoch, ...warmup }: WarmupMultiStepOptions,
  ) {
    super(optimizer, { milestones, gamma, ...warmupSettings(warmup) }, lastEpoch);
  }

  protected problemWith(settings: WarmupMultiStepSettings): string | null {
    const { milestones, gamma } = settings;
    if (milestones.some((milestone, i) => !(i === 0 || milestones[i - 1] <= milestone))) {
      return `SOLVER.STEPS: expected ascending numbers, found milestones at iterations [${milestones.join(', ')}]`;
    }
    if (!Number.isFinite(gamma)) return `SOLVER.GAMMA: expected a number, found ${gamma}`;
    return warmupProblem(settings);
  }

  lrAt(iterations: number): number[] {
    const { milestones, gamma } = this.settings;
    const passed = milestones.filter((milestone) => milestone <= iterations).length;
    const warmup = warmupFactorAt(iterations, this.settings);
    return this.baseLrs.map((lr) => lr * warmup * gamma ** passed);
  }
}
