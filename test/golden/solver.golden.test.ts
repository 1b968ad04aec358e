/** @file Optimizers, schedules and parameter groups against PyTorch's numbers. */
import { describe, expect, it } from 'vitest';
import type { Parameter } from '../../src/nn/module.js';
import { Adam } from '../../src/solver/adam.js';
import { AdamW } from '../../src/solver/adamw.js';
import {
  layerScalesOf,
  makeLrScheduler,
  makeOptimizer,
  type Optimizer,
  SGD,
} from '../../src/solver/index.js';
import type { LrHolder } from '../../src/solver/lr_schedule.js';
import {
  bareParameter,
  fakeModel,
  parameterOf,
  plain,
  setGrad,
  solverConfig,
} from '../support/solver_fixtures.js';
import { expectClose, goldenExists, goldenJson, goldenTensors, WEIGHTS } from './golden.js';

const SCHEDULE_TOLERANCE = 1e-12;

it.skipIf(process.env.STMIXER_GOLDEN_DIR !== undefined)(
  'the repository has all golden files of the solver',
  () => {
    const files = ['optimizer.json', 'optimizer.safetensors', 'lr_schedule.json', 'param_groups.json'];
    expect(files.filter((file) => !goldenExists(file))).toEqual([]);
  },
);

describe.skipIf(!goldenExists('optimizer.json'))('the optimizer', () => {
  interface Variant {
    class: string;
    defaults: Record<string, never>;
    state_step_after_each_step: Record<string, number[]>;
  }
  interface Group {
    names: string[];
    lr: number;
    weight_decay: number;
  }
  const golden = goldenExists('optimizer.json') ? goldenJson('optimizer.json') : { variants: {} };

  function makeParameters(tensors: ReturnType<typeof goldenTensors>): Map<string, Parameter> {
    const names = (golden.groups as Group[]).flatMap((group) => group.names);
    return new Map(
      names.map((name) => {
        const { shape, data } = tensors.get(`init.${name}`)!;
        return [name, parameterOf(data, shape)];
      }),
    );
  }

  function makeVariant(variant: Variant, parameters: Map<string, Parameter>): Optimizer {
    const groups = (golden.groups as Group[]).map(({ names, lr, weight_decay }, i) => ({
      name: `group ${i}`,
      params: names.map((name) => ({ name, parameter: parameters.get(name)! })),
      lr,
      weight_decay,
    }));
    const { weight_decay: weightDecay, ...defaults } = variant.defaults;
    const settings = { ...defaults, weightDecay };
    if (variant.class === 'SGD') return new SGD(groups, settings);
    return variant.class === 'AdamW' ? new AdamW(groups, settings) : new Adam(groups, settings);
  }

  for (const [name, variant] of Object.entries(golden.variants as Record<string, Variant>)) {
    // Saving and loading after any step must not change the steps after it.
    for (const reload of [false, true]) {
      it(`${name} gives the weights and state of every step${reload ? ', saved and loaded in between' : ''}`, () => {
        const tensors = goldenTensors('optimizer.safetensors');
        const parameters = makeParameters(tensors);
        let optimizer = makeVariant(variant, parameters);
        for (const [s, multiplier] of (golden.lr_mult_per_step as number[]).entries()) {
          for (const [i, group] of optimizer.paramGroups.entries())
            group.lr = golden.groups[i].lr * multiplier;
          for (const [p, parameter] of parameters)
            setGrad(parameter, tensors.get(`grad.s${s + 1}.${p}`)?.data ?? null);
          optimizer.step();
          optimizer.zeroGrad();
          for (const [p, parameter] of parameters) {
            const key = `${name}.s${s + 1}.${p}`;
            expectClose(parameter.value.dataSync(), tensors.get(key)!.data, WEIGHTS, key);
            const state = optimizer.stateOf(parameter);
            for (const buffer of optimizer.bufferNames) {
              const expected = tensors.get(`${key}.${buffer}`);
              expect(state?.buffers[buffer] !== undefined, `${key} has ${buffer}`).toBe(
                expected !== undefined,
              );
              if (expected)
                expectClose(state!.buffers[buffer].dataSync(), expected.data, WEIGHTS, `${key}.${buffer}`);
            }
            const steps = variant.state_step_after_each_step[p];
            if (steps) expect(state!.steps).toBe(steps[s]);
          }
          if (reload) {
            const next = makeVariant(variant, parameters);
            next.loadStateDict(optimizer.stateDict());
            optimizer.dispose();
            optimizer = next;
          }
        }
      });
    }
  }
});

describe.skipIf(!goldenExists('lr_schedule.json'))('the schedule', () => {
  interface Case {
    config: Record<string, unknown>;
    base_lrs: number[];
  }
  const golden = goldenExists('lr_schedule.json')
    ? goldenJson('lr_schedule.json')
    : { small: {}, big: {}, resume: {} };

  const holderOf = (lrs: number[]): LrHolder => ({
    paramGroups: lrs.map((lr, i) => ({ name: `group ${i}`, lr })),
  });
  const lrsIn = (holder: LrHolder) => holder.paramGroups.map(({ lr }) => lr);

  function expectLrs(actual: readonly number[], expected: readonly number[], what: string): void {
    expect(actual.length).toBe(expected.length);
    for (const [i, rate] of expected.entries()) {
      expect(Math.abs(actual[i] - rate), `${what}, group ${i}`).toBeLessThanOrEqual(SCHEDULE_TOLERANCE);
    }
  }

  /** The entries of a golden state dict, all of which ours must have. */
  function expectState(actual: unknown, expected: Record<string, unknown>): void {
    for (const [key, value] of Object.entries(expected)) {
      const ours = (actual as Record<string, unknown>)[key];
      if (key === '_last_lr' || key === 'base_lrs') expectLrs(ours as number[], value as number[], key);
      else expect(ours, key).toEqual(value);
    }
  }

  for (const [name, { config, base_lrs, lr_at, state_dict_end }] of Object.entries(
    golden.small as Record<string, Case & { lr_at: number[][]; state_dict_end: Record<string, unknown> }>,
  )) {
    it(`${name} gives the learning rates and the state of a small run`, () => {
      const holder = holderOf(base_lrs);
      const schedule = makeLrScheduler(solverConfig(config), holder);
      for (const [k, expected] of lr_at.entries()) {
        if (k > 0) schedule.step();
        expectLrs(lrsIn(holder), expected, `after ${k} steps`);
        expectLrs(schedule.getLr(), expected, `getLr after ${k} steps`);
        expect(schedule.getLastLr()).toEqual(lrsIn(holder));
      }
      expectState(plain(schedule.stateDict()), state_dict_end);
    });
  }

  for (const [name, { config, base_lrs, lr_at }] of Object.entries(
    golden.big as Record<string, Case & { lr_at: [number, number[]][] }>,
  )) {
    it(`${name} gives the learning rates of a big run`, () => {
      const schedule = makeLrScheduler(solverConfig(config), holderOf(base_lrs));
      for (const [k, expected] of lr_at) expectLrs(schedule.lrAt(k), expected, `after ${k} steps`);
    });
  }

  interface ResumeCase extends Case {
    config_after_resume: Record<string, unknown>;
    base_lrs_after_resume: number[];
    saved_after_steps: number;
    saved_optimizer_lr: number[];
    saved_scheduler_state: Record<string, never>;
    resume: [number, number[]][];
    adjust: [number, number[]][];
  }
  for (const [name, c] of Object.entries(golden.resume as Record<string, ResumeCase>)) {
    it(`${name} saves its state`, () => {
      const holder = holderOf(c.base_lrs);
      const schedule = makeLrScheduler(solverConfig(c.config), holder);
      for (let i = 0; i < c.saved_after_steps; i++) schedule.step();
      expectLrs(lrsIn(holder), c.saved_optimizer_lr, 'optimizer');
      expectState(plain(schedule.stateDict()), c.saved_scheduler_state);
    });
    for (const way of ['resume', 'adjust'] as const) {
      it(`${name} continues with the learning rates of ${way}`, () => {
        const holder = holderOf(c.base_lrs_after_resume);
        const schedule = makeLrScheduler(solverConfig(c.config_after_resume), holder);
        // As the optimizer's own state would set them.
        for (const [i, group] of holder.paramGroups.entries()) group.lr = c.saved_optimizer_lr[i];
        if (way === 'resume') schedule.loadStateDict(c.saved_scheduler_state);
        else schedule.adoptPosition(c.saved_scheduler_state);
        for (const [position, expected] of c[way]) {
          if (position !== c[way][0][0]) schedule.step();
          expect(schedule.lastEpoch).toBe(position);
          expectLrs(lrsIn(holder), expected, `at ${position}`);
        }
      });
    }
  }
});

describe.skipIf(!goldenExists('param_groups.json'))('the parameter groups', () => {
  interface Group {
    names: string[];
    weight_decay: number;
    lr_scale: number | null;
    lr: number;
    betas: number[];
    eps: number;
  }
  interface Case {
    config: Record<string, unknown>;
    groups: Group[];
    rest_parameters: Group;
    parameters_in_order?: [string, number[]][];
    layer_scales?: number[];
  }
  const golden = goldenExists('param_groups.json') ? goldenJson('param_groups.json') : {};

  /** Names in the model's order; where the case does not tell the shapes, biases and norms have one dimension. */
  function parametersOf(c: Case): [string, number[]][] {
    if (c.parameters_in_order) return c.parameters_in_order;
    // Groups interleave in the model; any order that keeps each group's own order and its first use will do.
    return [...c.groups, c.rest_parameters].flatMap(({ names, weight_decay, lr_scale }) =>
      names.map((name): [string, number[]] => [name, lr_scale !== null && weight_decay === 0 ? [1] : [1, 1]]),
    );
  }

  for (const [name, c] of Object.entries(golden as Record<string, Case>)) {
    it(`equal those of PyTorch: ${name}`, () => {
      const cfg = solverConfig({ ...c.config, 'SOLVER.APPLY_LR_SCALE': false });
      const model = fakeModel(parametersOf(c).map(([p, shape]) => [p, bareParameter(shape)]));
      const optimizer = makeOptimizer(cfg, model);
      const expected = [...c.groups, c.rest_parameters];
      expect(optimizer.paramGroups.map((group) => group.params.map((param) => param.name))).toEqual(
        expected.map((group) => group.names),
      );
      for (const [i, group] of optimizer.paramGroups.entries()) {
        const { weight_decay, lr, betas, eps, lr_scale } = expected[i];
        expect(group).toMatchObject({ weight_decay, lr, betas, eps });
        if (lr_scale === null) expect(group.lr_scale).toBeUndefined();
        else expect(Math.abs(group.lr_scale! - lr_scale)).toBeLessThanOrEqual(1e-12);
      }
      expect(optimizer.paramGroups.at(-1)!.name).toBe('rest');
      const scales = layerScalesOf(cfg);
      if (c.layer_scales) {
        expect(scales!.length).toBe(c.layer_scales.length);
        for (const [i, scale] of c.layer_scales.entries()) {
          expect(Math.abs(scales![i] - scale)).toBeLessThanOrEqual(1e-12);
        }
      } else expect(scales).toBeNull();
    });
  }
});
