/** @file Describes the learning rate of a run whose settings differ from those of its checkpoint. */
import { significant } from '../util/text.js';
import { HalfPeriodCosStepLR } from './half_period_cos_step_lr.js';
import type { LrSchedule } from './lr_schedule.js';
import type { SolverConfig } from './solver_config.js';

/** The two schedules that a resumed run may follow. */
export interface ScheduleChoice {
  readonly cfg: SolverConfig;
  /** The schedule of the configuration. */
  readonly configured: LrSchedule;
  /** The schedule that continues from the checkpoint without --adjust-lr. */
  readonly saved: LrSchedule;
  /** The schedule up to now. */
  readonly past: LrSchedule;
  /** SOLVER.SCHEDULER of the checkpoint. */
  readonly savedKind: string;
  readonly adjustLr: boolean;
  /** Iterations done. */
  readonly done: number;
}

/** Describes the choice by settings and learning rates; null if both schedules have the same settings. */
export function describeSchedules(choice: ScheduleChoice): string | null {
  const { cfg, configured, saved, past, savedKind, adjustLr, done } = choice;
  const changed = changedSettings(choice);
  if (changed.length === 0) return null;
  const end = cfg.SOLVER.MAX_EPOCH * cfg.SOLVER.ITER_PER_EPOCH;
  const fromCheckpoint =
    savedKind === cfg.SOLVER.SCHEDULER
      ? "the checkpoint's schedule"
      : "the configuration's schedule with the base learning rate and the warm-up of the checkpoint";
  const head = adjustLr
    ? `--adjust-lr: from here on the learning rate follows the configuration, not the checkpoint: ${changed.join('; ')}`
    : `the learning rate goes on with ${fromCheckpoint}, as in the official code. ` +
      `Settings that differ: ${changed.join('; ')}`;
  if (done >= end) return head;
  const [now, other] = adjustLr ? [configured, saved] : [saved, configured];
  const courses = [now, other].map((schedule) => course(schedule, done, end));
  const before = done > 0 ? `It was ${lrText(past, done - 1)} in iteration ${done}, and is ` : 'It is ';
  if (courses[0] === courses[1]) return `${head}. ${before}${courses[0]}, with and without --adjust-lr`;
  const way = adjustLr
    ? `Without --adjust-lr it would go on with ${fromCheckpoint}`
    : 'With --adjust-lr it would follow the configuration';
  return `${head}. ${before}${courses[0]}. ${way}: ${courses[1]}`;
}

/** Settings with their values in the configuration and in the checkpoint. */
function changedSettings({ cfg, configured, saved, savedKind }: ScheduleChoice): string[] {
  const { SCHEDULER } = cfg.SOLVER;
  const lines = savedKind === SCHEDULER ? [] : [`SOLVER.SCHEDULER ${SCHEDULER} (checkpoint: ${savedKind})`];
  for (const [name, value] of Object.entries(configured.settings)) {
    const other = saved.settings[name];
    if (JSON.stringify(value) !== JSON.stringify(other)) lines.push(settingText(name, cfg, other));
  }
  const base = [configured, saved].map(({ baseLrs }) => [...new Set(baseLrs)].map(short).join(' and '));
  if (base[0] !== base[1]) lines.push(`SOLVER.BASE_LR ${base[0]} (checkpoint: ${base[1]})`);
  return lines;
}

/** A setting under the user's name; the checkpoint counts in iterations, the user in epochs. */
function settingText(name: string, { SOLVER }: SolverConfig, saved: LrSchedule['settings'][string]): string {
  const { MAX_EPOCH, ITER_PER_EPOCH, STEPS, WARMUP_ON, WARMUP_EPOCH } = SOLVER;
  const inIterations = (epochs: number) =>
    `${epochs} × SOLVER.ITER_PER_EPOCH ${ITER_PER_EPOCH} = ${epochs * ITER_PER_EPOCH} iterations`;
  switch (name) {
    case 'max_iters':
      return `SOLVER.MAX_EPOCH ${inIterations(MAX_EPOCH)} (checkpoint: ${saved} iterations)`;
    case 'milestones': {
      const now = STEPS.map((epoch) => epoch * ITER_PER_EPOCH);
      return `SOLVER.STEPS (${STEPS.join(', ')}), after iterations ${listed(now)} (checkpoint: ${listed(saved as number[])})`;
    }
    case 'warmup_iters':
      return WARMUP_ON
        ? `SOLVER.WARMUP_EPOCH ${inIterations(WARMUP_EPOCH)} (checkpoint: ${saved} iterations)`
        : `SOLVER.WARMUP_ON False (checkpoint: a warm-up of ${saved} iterations)`;
    case 'gamma':
      return `SOLVER.GAMMA ${SOLVER.GAMMA} (checkpoint: ${saved})`;
    case 'warmup_factor':
      return `SOLVER.WARMUP_FACTOR ${SOLVER.WARMUP_FACTOR} (checkpoint: ${saved})`;
    default:
      return `SOLVER.WARMUP_METHOD ${SOLVER.WARMUP_METHOD} (checkpoint: ${saved})`;
  }
}

function listed(iterations: readonly number[]): string {
  return iterations.length > 0 ? iterations.join(', ') : 'none';
}

const MAX_TURNS = 4;

/** Describes the learning rates from the iteration after `done` to the last one, `end`. */
function course(schedule: LrSchedule, done: number, end: number): string {
  const points = turns(schedule, done, end);
  const at = (position: number) => `${lrText(schedule, position)} in iteration ${position + 1}`;
  const shown = points.slice(0, MAX_TURNS);
  const parts = shown.map((position, i) => {
    if (i === 0) return at(position);
    return `${maxLr(schedule, position) < maxLr(schedule, shown[i - 1]) ? 'falling' : 'rising'} to ${at(position)}`;
  });
  if (points.length === 1 && end - done > 1) parts.push(`and the same up to iteration ${end}`);
  if (points.length > MAX_TURNS) parts.push('and so on');
  return parts.join(', ') + whyRising(schedule, done, end);
}

/** Explains a learning rate that rises: the official cosine continues after its half period. */
function whyRising(schedule: LrSchedule, done: number, end: number): string {
  if (!(schedule instanceof HalfPeriodCosStepLR)) return '';
  const { max_iters } = schedule.settings;
  if (end - 1 <= max_iters || max_iters < schedule.settings.warmup_iters) return '';
  return done > max_iters
    ? ` (the cosine ended after iteration ${max_iters}, and has been rising again since)`
    : ` (the cosine ends after iteration ${max_iters}, and rises again from there)`;
}

/** Returns the positions, in iterations done, of the first learning rate, of each turn, and of the last change. */
function turns(schedule: LrSchedule, done: number, end: number): number[] {
  const found = [done];
  let direction = 0;
  let changed = done;
  let before = maxLr(schedule, done);
  for (let position = done + 1; position < end; position++) {
    const now = maxLr(schedule, position);
    const sign = Math.sign(now - before);
    if (sign !== 0) {
      if (direction !== 0 && sign !== direction) found.push(changed);
      direction = sign;
      changed = position;
    }
    before = now;
  }
  // A learning rate that stays until the end is reported at its first iteration.
  if (direction !== 0) found.push(changed);
  return found;
}

/** The learning rate without layer decay, as in the log. */
function maxLr(schedule: LrSchedule, position: number): number {
  return Math.max(...schedule.lrAt(position));
}

function lrText(schedule: LrSchedule, position: number): string {
  return short(maxLr(schedule, position));
}

function short(value: number): string {
  return significant(value, 4);
}
