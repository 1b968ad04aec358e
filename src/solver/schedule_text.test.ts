/** @file Tests that what is said of learning rates is what the schedules do. */
import { describe, expect, it } from 'vitest';
import { solverConfig } from '../../test/support/solver_fixtures.js';
import type { LrSchedule } from './lr_schedule.js';
import { makeLrScheduler, scheduleKindOf } from './make_lr_scheduler.js';
import { describeSchedules } from './schedule_text.js';

const BASE = {
  'SOLVER.ITER_PER_EPOCH': 2,
  'SOLVER.MAX_EPOCH': 2,
  'SOLVER.BASE_LR': 1e-3,
  'SOLVER.WARMUP_ON': false,
};
const COSINE = { ...BASE, 'SOLVER.SCHEDULER': 'half_period_cosine' };
const STEPS = { ...BASE, 'SOLVER.MAX_EPOCH': 6, 'SOLVER.STEPS': [2, 4] };

function scheduleOf(settings: Record<string, unknown>): LrSchedule {
  const cfg = solverConfig(settings);
  return makeLrScheduler(cfg, { paramGroups: [{ name: 'all', lr: cfg.SOLVER.BASE_LR }] });
}

/** Returns what is said if a run with the first settings goes on with the second after `done` iterations. */
function said(first: object, second: object, done: number, adjustLr = false): string | null {
  const before = scheduleOf({ ...first });
  for (let i = 0; i < done; i++) before.step();
  const state = before.stateDict();
  const cfg = solverConfig({ ...second });
  const saved = scheduleOf({ ...second });
  saved.loadStateDict(state);
  const configured = scheduleOf({ ...second });
  const past = before;
  const savedKind = scheduleKindOf(state)!;
  return describeSchedules({ cfg, configured, saved, past, savedKind, adjustLr, done });
}

describe('a resumed run with a longer cosine schedule', () => {
  const longer = { ...COSINE, 'SOLVER.MAX_EPOCH': 4 };

  it('reports that the learning rate rises again after the end, and what --adjust-lr would do', () => {
    expect(said(COSINE, longer, 4)).toBe(
      "the learning rate goes on with the checkpoint's schedule, as in the official code. Settings that differ: " +
        'SOLVER.MAX_EPOCH 4 × SOLVER.ITER_PER_EPOCH 2 = 8 iterations (checkpoint: 4 iterations). ' +
        'It was 0.0001464 in iteration 4, and is 0 in iteration 5, rising to 0.0008536 in iteration 8 ' +
        '(the cosine ends after iteration 4, and rises again from there). ' +
        'With --adjust-lr it would follow the configuration: 0.0005 in iteration 5, falling to 0.00003806 in iteration 8',
    );
  });

  it('reports with --adjust-lr what the learning rate follows', () => {
    expect(said(COSINE, longer, 4, true)).toMatch(
      /^--adjust-lr: from here on the learning rate follows the configuration, not the checkpoint: .* is 0\.0005 in iteration 5, falling to 0\.00003806 in iteration 8\. Without --adjust-lr it would go on with the checkpoint's schedule: 0 in iteration 5, rising/,
    );
  });

  it('reports that the learning rate first falls and then rises, if it resumes before the end', () => {
    expect(said(COSINE, longer, 2)).toMatch(
      /It was 0\.0008536 in iteration 2, and is 0\.0005 in iteration 3, falling to 0 in iteration 5, rising to 0\.0008536 in iteration 8/,
    );
  });

  it('reports that the learning rate has been rising, if it resumes long after the end', () => {
    expect(said(COSINE, { ...COSINE, 'SOLVER.MAX_EPOCH': 5 }, 6)).toMatch(
      /is 0\.0005 in iteration 7, rising to 0\.001 in iteration 9, falling to .*has been rising again since/,
    );
  });
});

describe('a resumed run with other settings', () => {
  it.each([
    ['STEPS', { 'SOLVER.STEPS': [3] }, /SOLVER\.STEPS \(3\), after iterations 6 \(checkpoint: 4, 8\)/],
    ['GAMMA', { 'SOLVER.GAMMA': 0.5 }, /SOLVER\.GAMMA 0\.5 \(checkpoint: 0\.1\)/],
    ['BASE_LR', { 'SOLVER.BASE_LR': 0.002 }, /SOLVER\.BASE_LR 0\.002 \(checkpoint: 0\.001\)/],
    [
      'WARMUP_EPOCH',
      { 'SOLVER.WARMUP_ON': true, 'SOLVER.WARMUP_EPOCH': 3 },
      /SOLVER\.WARMUP_EPOCH 3 × SOLVER\.ITER_PER_EPOCH 2 = 6 iterations \(checkpoint: 0 iterations\)/,
    ],
    ['WARMUP_FACTOR', { 'SOLVER.WARMUP_FACTOR': 0.5 }, /SOLVER\.WARMUP_FACTOR 0\.5 \(checkpoint: 0\.1\)/],
    [
      'WARMUP_METHOD',
      { 'SOLVER.WARMUP_METHOD': 'constant' },
      /SOLVER\.WARMUP_METHOD constant \(checkpoint: linear\)/,
    ],
    [
      'SCHEDULER',
      { 'SOLVER.SCHEDULER': 'half_period_cosine' },
      /SOLVER\.SCHEDULER half_period_cosine \(checkpoint: warmup_multi_step\)/,
    ],
  ])('names %s with both values', (_name, change, message) => {
    for (const adjust of [false, true]) {
      const text = said(STEPS, { ...STEPS, ...change }, 3, adjust);
      expect(text).toMatch(message);
      expect(text).not.toMatch(/max_iters|milestones|gamma|warmup_(iters|factor|method)|base_lrs/);
    }
  });

  it('reports the learning rate of the old schedule if the kind of schedule changed', () => {
    const cosine = { ...STEPS, 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.BASE_LR': 0.002 };
    expect(said(STEPS, cosine, 3)).toMatch(
      /configuration's schedule with the base learning rate and the warm-up of the checkpoint.* It was 0\.001 in iteration 3, and is 0\.0008536 in iteration 4/,
    );
  });

  it('reports a warm-up that was switched off', () => {
    const warm = { ...STEPS, 'SOLVER.WARMUP_ON': true, 'SOLVER.WARMUP_EPOCH': 3 };
    expect(said(warm, STEPS, 2)).toMatch(/SOLVER\.WARMUP_ON False \(checkpoint: a warm-up of 6 iterations\)/);
  });

  it('reports changes without effect as such', () => {
    expect(said(STEPS, { ...STEPS, 'SOLVER.WARMUP_FACTOR': 0.5 }, 3)).toMatch(
      /It was 0\.001 in iteration 3, and is 0\.001 in iteration 4, falling to 0\.00001 in iteration 9, with and without --adjust-lr$/,
    );
  });

  it('reports nothing if settings are the same or only add epochs to a step schedule', () => {
    expect(said(STEPS, STEPS, 3)).toBeNull();
    expect(said(STEPS, { ...STEPS, 'SOLVER.MAX_EPOCH': 9 }, 3)).toBeNull();
  });
});
