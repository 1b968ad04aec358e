/** @file The learning rate schedule of a configuration. */
import { SCHEDULERS, type SchedulerName } from '../config/schema/choices.js';
import { ConfigError } from '../errors.js';
import { asDict } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { HalfPeriodCosStepLR } from './half_period_cos_step_lr.js';
import type { LrHolder, LrSchedule } from './lr_schedule.js';
import type { SolverConfig } from './solver_config.js';
import type { WarmupOptions } from './warmup.js';
import { WarmupMultiStepLR } from './warmup_multi_step_lr.js';

interface ScheduleEntry {
  /** A setting that only the saved state of this schedule has. */
  readonly mark: string;
  make(optimizer: LrHolder, solver: SolverConfig['SOLVER'], warmup: WarmupOptions): LrSchedule;
}

/** The schedules by their names in SOLVER.SCHEDULER. */
const REGISTRY: Readonly<Record<SchedulerName, ScheduleEntry>> = {
  warmup_multi_step: {
    mark: 'milestones',
    make: (optimizer, { STEPS, GAMMA, ITER_PER_EPOCH }, warmup) => {
      const milestones = STEPS.map((epoch) => epoch * ITER_PER_EPOCH);
      return new WarmupMultiStepLR(optimizer, { milestones, gamma: GAMMA, ...warmup });
    },
  },
  half_period_cosine: {
    mark: 'max_iters',
    make: (optimizer, { MAX_EPOCH, ITER_PER_EPOCH }, warmup) =>
      new HalfPeriodCosStepLR(optimizer, { maxIters: MAX_EPOCH * ITER_PER_EPOCH, ...warmup }),
  },
};

/** Returns the SOLVER.SCHEDULER of the run that saved a schedule's state; null if it cannot be inferred. */
export function scheduleKindOf(state: PyValue): SchedulerName | null {
  const dict = asDict(state, 'schedule');
  return SCHEDULERS.find((name) => dict.has(REGISTRY[name].mark)) ?? null;
}

/** Makes the configured schedule and sets the optimizer's first learning rates. Throws ConfigError on invalid settings. */
export function makeLrScheduler({ SOLVER }: SolverConfig, optimizer: LrHolder): LrSchedule {
  const { ITER_PER_EPOCH, WARMUP_ON, WARMUP_EPOCH, WARMUP_FACTOR, WARMUP_METHOD, SCHEDULER } = SOLVER;
  if (!(SCHEDULER in REGISTRY))
    throw new ConfigError(`SOLVER.SCHEDULER: expected ${SCHEDULERS.join(' or ')}, found "${SCHEDULER}"`);
  return REGISTRY[SCHEDULER].make(optimizer, SOLVER, {
    warmupIters: WARMUP_ON ? WARMUP_EPOCH * ITER_PER_EPOCH : 0,
    warmupFactor: WARMUP_FACTOR,
    warmupMethod: WARMUP_METHOD,
  });
}
