import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plain, solverConfig } from '../../test/support/solver_fixtures.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { PyFloat, PyTuple, type PyValue } from '../formats/python/values.js';
import { HalfPeriodCosStepLR } from './half_period_cos_step_lr.js';
import { makeLrScheduler } from './make_lr_scheduler.js';
import { describeDifference } from './setting_differences.js';
import { WarmupMultiStepLR } from './warmup_multi_step_lr.js';

const holder = (...lrs: number[]) => ({
  paramGroups: lrs.map((lr, i) => ({
    name: `group ${i}`,
    lr,
    initial_lr: undefined as number | undefined,
  })),
});
const lrsIn = ({ paramGroups }: ReturnType<typeof holder>) => paramGroups.map(({ lr }) => lr);
const warmup = { warmupFactor: 0.1, warmupIters: 4, warmupMethod: 'linear' as const };
const steps = { milestones: [6, 9], gamma: 0.5, ...warmup };

const settings = fc.record({
  base: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  factor: fc.double({ min: 0, max: 1, noNaN: true }),
  warmupIters: fc.integer({ min: 0, max: 30 }),
  method: fc.constantFrom('linear' as const, 'constant' as const),
  position: fc.integer({ min: 0, max: 100 }),
});

describe('the learning rates', () => {
  it('follow the formula of the multi-step schedule', () => {
    fc.assert(
      fc.property(
        settings,
        fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 5 }),
        fc.double({ min: 0.1, max: 1, noNaN: true }),
        ({ base, factor, warmupIters, method, position }, unsorted, gamma) => {
          const milestones = unsorted.toSorted((a, b) => a - b);
          const schedule = new WarmupMultiStepLR(holder(base), {
            milestones,
            gamma,
            warmupFactor: factor,
            warmupIters,
            warmupMethod: method,
          });
          let expected = base;
          for (const milestone of milestones) if (position >= milestone) expected *= gamma;
          if (position < warmupIters) {
            expected *= method === 'constant' ? factor : factor + (1 - factor) * (position / warmupIters);
          }
          expect(schedule.lrAt(position)[0]).toBeCloseTo(expected, 12);
        },
      ),
    );
  });

  it('follow the formula of half a cosine, and jump at the end of the warm-up', () => {
    fc.assert(
      fc.property(settings, fc.integer({ min: 1, max: 100 }), (s, maxIters) => {
        const schedule = new HalfPeriodCosStepLR(holder(s.base), {
          maxIters,
          warmupFactor: s.factor,
          warmupIters: s.warmupIters,
          warmupMethod: s.method,
        });
        const lr = schedule.lrAt(s.position)[0];
        if (s.position >= s.warmupIters) {
          expect(lr).toBeCloseTo(s.base * Math.cos((Math.PI * s.position) / maxIters / 2) ** 2, 12);
        } else {
          const share = s.method === 'constant' ? 0 : s.position / s.warmupIters;
          expect(lr).toBeCloseTo(s.base * (s.factor + (1 - s.factor) * share), 12);
        }
      }),
    );
    const schedule = new HalfPeriodCosStepLR(holder(1), { maxIters: 12, ...warmup });
    expect(schedule.lrAt(3)[0]).toBeCloseTo(0.775, 12);
    expect(schedule.lrAt(4)[0]).toBeCloseTo(0.75, 12);
    expect(schedule.lrAt(12)[0]).toBe(0);
  });

  it('change at the milestone itself, also inside the warm-up', () => {
    const schedule = new WarmupMultiStepLR(holder(1), { ...steps, milestones: [2, 6, 6], gamma: 0.5 });
    expect(schedule.lrAt(1)[0]).toBeCloseTo(0.325, 12);
    expect(schedule.lrAt(2)[0]).toBeCloseTo(0.55 * 0.5, 12);
    expect(schedule.lrAt(5)).toEqual([0.5]);
    expect(schedule.lrAt(6)).toEqual([0.125]);
  });
});

describe('the position of a schedule', () => {
  it('starts at the first learning rate and moves with every step', () => {
    const optimizer = holder(1, 10);
    const schedule = new WarmupMultiStepLR(optimizer, steps);
    expect(lrsIn(optimizer)).toEqual([0.1, 1]);
    expect(optimizer.paramGroups.map((group) => group.initial_lr)).toEqual([1, 10]);
    expect(schedule.lastEpoch).toBe(0);
    for (let i = 0; i < 4; i++) schedule.step();
    expect(lrsIn(optimizer)).toEqual([1, 10]);
    expect(schedule.getLr()).toEqual([1, 10]);
    expect(schedule.getLastLr()).toEqual([1, 10]);
    expect(schedule.lrAt(0)).toEqual([0.1, 1]);
    expect(schedule.lastEpoch).toBe(4);
  });

  it('starts from an initial_lr that is already set', () => {
    const optimizer = holder(0.3);
    optimizer.paramGroups[0].initial_lr = 1;
    expect(new WarmupMultiStepLR(optimizer, steps).baseLrs).toEqual([1]);
  });

  it('can be given, as in PyTorch', () => {
    const optimizer = holder(0.3);
    expect(() => new WarmupMultiStepLR(optimizer, { ...steps, lastEpoch: 5 })).toThrow(
      /"group 0" has no initial_lr/,
    );
    optimizer.paramGroups[0].initial_lr = 1;
    const schedule = new WarmupMultiStepLR(optimizer, { ...steps, lastEpoch: 5 });
    expect(schedule.lastEpoch).toBe(6);
    expect(lrsIn(optimizer)).toEqual([0.5]);
  });
});

describe('the state dict of a schedule', () => {
  it('has the entries and types of the official classes', () => {
    const multiStep = new WarmupMultiStepLR(holder(1), { ...steps, gamma: 1 });
    multiStep.step();
    expect([...multiStep.stateDict()]).toEqual([
      ['milestones', new PyTuple([6, 9])],
      ['gamma', new PyFloat(1)],
      ['warmup_factor', new PyFloat(0.1)],
      ['warmup_iters', 4],
      ['warmup_method', 'linear'],
      ['base_lrs', [new PyFloat(1)]],
      ['last_epoch', 1],
      ['verbose', false],
      ['_step_count', 2],
      ['_get_lr_called_within_step', false],
      ['_last_lr', [new PyFloat(0.325)]],
    ]);
    const cosine = new HalfPeriodCosStepLR(holder(1), { maxIters: 12, ...warmup });
    expect([...cosine.stateDict().keys()].slice(0, 4)).toEqual([
      'max_iters',
      'warmup_factor',
      'warmup_iters',
      'warmup_method',
    ]);
  });

  it('restores position and settings, and names the settings that it changed', () => {
    const saved = new WarmupMultiStepLR(holder(1), { ...steps, gamma: 0.1 });
    for (let i = 0; i < 7; i++) saved.step();
    const optimizer = holder(2);
    const schedule = new WarmupMultiStepLR(optimizer, {
      ...steps,
      milestones: [5],
      warmupMethod: 'constant',
    });
    const differences = schedule.loadStateDict(saved.stateDict());
    expect(plain(schedule.stateDict())).toEqual(plain(saved.stateDict()));
    schedule.step();
    saved.step();
    expect(lrsIn(optimizer)).toEqual(saved.getLastLr());
    expect(differences.map(describeDifference)).toEqual([
      'milestones is [6, 9] from the checkpoint; the configuration asks for [5]',
      'gamma is 0.1 from the checkpoint; the configuration asks for 0.5',
      'warmup_method is linear from the checkpoint; the configuration asks for constant',
      'base_lrs is [1] from the checkpoint; the configuration asks for [2]',
    ]);
  });

  it('restores only the position with adoptPosition', () => {
    const saved = new WarmupMultiStepLR(holder(1), { ...steps, gamma: 0.1 });
    for (let i = 0; i < 7; i++) saved.step();
    const optimizer = holder(2);
    const schedule = new WarmupMultiStepLR(optimizer, { ...steps, milestones: [7], warmupIters: 0 });
    schedule.adoptPosition(saved.stateDict());
    expect(schedule.lastEpoch).toBe(7);
    expect(lrsIn(optimizer)).toEqual([1]);
    expect(schedule.getLastLr()).toEqual([1]);
    expect(schedule.baseLrs).toEqual([2]);
    expect(plain(schedule.stateDict())).toMatchObject({ _step_count: 8, milestones: [7], gamma: 0.5 });
  });

  it('continues with the configured settings if another kind of schedule was saved', () => {
    const saved = new HalfPeriodCosStepLR(holder(1), { maxIters: 12, ...warmup, warmupIters: 1 });
    saved.step();
    const schedule = new WarmupMultiStepLR(holder(1), steps);
    schedule.loadStateDict(saved.stateDict());
    expect(schedule.settings).toEqual({
      milestones: [6, 9],
      gamma: 0.5,
      warmup_factor: 0.1,
      warmup_iters: 1,
      warmup_method: 'linear',
    });
    expect(schedule.lastEpoch).toBe(1);
    expect(plain(schedule.stateDict())).toMatchObject({ max_iters: 12 });
  });

  const broken: [string, PyValue, RegExp][] = [
    ['verbose', 'no dictionary', /schedule: expected a dictionary/],
    ['last_epoch', -1, /last_epoch: expected a whole number from 0, found -1/],
    ['last_epoch', null, /last_epoch: expected a number, found None/],
    ['base_lrs', [1, 2], /schedule has 2 base_lrs, this run has 1 parameter groups/],
    ['gamma', 'half', /gamma: expected a number, found "half"/],
    ['milestones', [9, 6], /milestones at iterations \[9, 6\]/],
    ['warmup_method', 'cosine', /WARMUP_METHOD/],
  ];
  it.each(broken)('refuses a broken %s %j', (name, value, message) => {
    const schedule = new WarmupMultiStepLR(holder(1), steps);
    const before = plain(schedule.stateDict());
    const state: PyValue = value === 'no dictionary' ? 3 : schedule.stateDict().set(name, value);
    expect(() => schedule.loadStateDict(state)).toThrow(CheckpointError);
    expect(() => schedule.loadStateDict(state)).toThrow(message);
    expect(plain(schedule.stateDict())).toEqual(before);
  });
});

describe('makeLrScheduler', () => {
  it('counts in iterations', () => {
    const changes = { 'SOLVER.ITER_PER_EPOCH': 10, 'SOLVER.STEPS': [3, 5.5], 'SOLVER.MAX_EPOCH': 6 };
    expect(makeLrScheduler(solverConfig(changes), holder(1)).settings).toEqual({
      milestones: [30, 55],
      gamma: 0.1,
      warmup_factor: 0.1,
      warmup_iters: 20,
      warmup_method: 'linear',
    });
    const cosine = makeLrScheduler(
      solverConfig({ ...changes, 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.WARMUP_ON': false }),
      holder(1),
    );
    expect(cosine.settings).toMatchObject({ max_iters: 60, warmup_iters: 0 });
  });

  it.each([
    [
      { 'SOLVER.SCHEDULER': 'cosine' },
      /SOLVER.SCHEDULER: expected warmup_multi_step or half_period_cosine, found "cosine"/,
    ],
    [
      { 'SOLVER.WARMUP_METHOD': 'cosine' },
      /SOLVER.WARMUP_METHOD: expected "linear" or "constant", found "cosine"/,
    ],
    [{ 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.WARMUP_METHOD': '' }, /WARMUP_METHOD/],
    [{ 'SOLVER.STEPS': [8, 5] }, /SOLVER.STEPS: expected ascending/],
    [{ 'SOLVER.SCHEDULER': 'half_period_cosine', 'SOLVER.MAX_EPOCH': 0 }, /MAX_EPOCH/],
  ])('refuses %j', (changes, message) => {
    expect(() => makeLrScheduler(solverConfig(changes), holder(1))).toThrow(ConfigError);
    expect(() => makeLrScheduler(solverConfig(changes), holder(1))).toThrow(message);
  });
});
