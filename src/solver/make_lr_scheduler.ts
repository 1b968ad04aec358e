/** @file The learning rate schedule that a configuration asks for. */
import { ConfigError } from '../errors.js';
import { asDict } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
import { HalfPeriodCosStepLR } from './half_period_cos_step_lr.js';
import type { LrSchedule, RateHolder } from './lr_schedule.js';
import type { SolverConfig } from './solver_config.js';
import { WarmupMultiStepLR } from './warmup_multi_step_lr.js';

/** Known values of SOLVER.SCHEDULER. */
export const SCHEDULERS = ['warmup_multi_step', 'half_period_cosine'] as const;

/** SOLVER.SCHEDULER of the run that saved a schedule's state; null if nothing in it says so. */
export function scheduleKindOf(state: PyValue): (typeof SCHEDULERS)[number] | null {
  const dict = asDict(state, 'schedule');
  if (dict.has('milestones')) return 'warmup_multi_step';
  return dict.has('max_iters') ? 'half_period_cosine' : null;
}

/** Sets the optimizer's rates to those of the first iteration. Throws ConfigError on an unknown SOLVER.SCHEDULER. */
export function makeLrScheduler(cfg: SolverConfig, optimizer: RateHolder): LrSchedule {
  const { ITER_PER_EPOCH, MAX_EPOCH, SCHEDULER, STEPS, GAMMA } = cfg.SOLVER;
  const { WARMUP_ON, WARMUP_EPOCH, WARMUP_FACTOR, WARMUP_METHOD } = cfg.SOLVER;
  const warmup = {
    warmup_factor: WARMUP_FACTOR,
    warmup_iters: WARMUP_ON ? WARMUP_EPOCH * ITER_PER_EPOCH : 0,
    warmup_method: WARMUP_METHOD,
  };
  switch (SCHEDULER) {
    case 'warmup_multi_step': {
      const milestones = STEPS.map((epoch) => epoch * ITER_PER_EPOCH);
      return new WarmupMultiStepLR(optimizer, { milestones, gamma: GAMMA, ...warmup });
    }
    case 'half_period_cosine':
      return new HalfPeriodCosStepLR(optimizer, { max_iters: MAX_EPOCH * ITER_PER_EPOCH, ...warmup });
    default:
      throw new ConfigError(`SOLVER.SCHEDULER: expected ${SCHEDULERS.join(' or ')}, found "${SCHEDULER}"`);
  }
}
