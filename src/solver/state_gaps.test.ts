/** @file Tests of what is missing from saved states of optimizers that need more or less of it. */
import { describe, expect, it } from 'vitest';
import { parameterOf, setGrad } from '../../test/support/solver_fixtures.js';
import type { PyDict, PyValue } from '../formats/python/values.js';
import type { Parameter } from '../nn/module.js';
import { AdamW } from './adamw.js';
import { describeOptimizerSettings } from './settings_text.js';
import { SGD } from './sgd.js';
import { parametersWithoutState } from './state_gaps.js';

const groups = (parameters: Parameter[]) => [
  { name: 'rest', params: parameters.map((parameter, i) => ({ name: 'ab'[i], parameter })) },
];
const sgd = (parameters: Parameter[], momentum: number) => new SGD(groups(parameters), { lr: 1, momentum });
const adam = (parameters: Parameter[], beta = 0.9) =>
  new AdamW(groups(parameters), { lr: 1, weightDecay: 0, betas: [beta, 0.999] });

/** The optimizer's state after a step of both parameters. */
function stepped(optimizer: SGD | AdamW, parameters: Parameter[]): PyDict {
  for (const parameter of parameters) setGrad(parameter, [1]);
  optimizer.step();
  optimizer.zeroGrad();
  return optimizer.stateDict();
}
const pair = () => [parameterOf([1]), parameterOf([2])];
const without = (state: PyDict, index: number) => {
  (state.get('state') as PyDict).delete(index);
  return state;
};

describe('parametersWithoutState', () => {
  it('returns nothing for a complete state', () => {
    const parameters = pair();
    for (const optimizer of [adam(parameters), sgd(parameters, 0.5)])
      expect(parametersWithoutState(optimizer, stepped(optimizer, parameters))).toEqual([]);
  });

  it('returns a parameter that lacks its moments, or its velocity', () => {
    const parameters = pair();
    for (const optimizer of [adam(parameters), sgd(parameters, 0.5)])
      expect(parametersWithoutState(optimizer, without(stepped(optimizer, parameters), 1))).toEqual(['b']);
  });

  it('accepts None as a missing velocity', () => {
    const parameters = pair();
    const optimizer = sgd(parameters, 0.5);
    const state = stepped(optimizer, parameters);
    (state.get('state') as PyDict).set(0, new Map<PyValue, PyValue>([['momentum_buffer', null]]));
    expect(parametersWithoutState(optimizer, state)).toEqual(['a']);
  });

  it('requires no velocity without momentum, according to the settings of the file, which apply', () => {
    const parameters = pair();
    const state = stepped(sgd(parameters, 0), parameters);
    for (const momentum of [0, 0.5]) expect(parametersWithoutState(sgd(pair(), momentum), state)).toEqual([]);
  });

  it('ignores the state of another optimizer, which loading refuses', () => {
    const parameters = pair();
    const state = stepped(sgd(parameters, 0.5), parameters);
    expect(parametersWithoutState(adam(pair()), state)).toEqual([]);
    expect(() => adam(pair()).loadStateDict(state)).toThrow(
      /has no "betas", which SOLVER\.OPTIMIZING_METHOD adamw/,
    );
  });
});

describe('describeOptimizerSettings', () => {
  it('uses the names of the configuration, and leaves out base learning rates, which the schedule sets', () => {
    const saved = adam(pair(), 0.8);
    saved.paramGroups[0].weight_decay = 0.5;
    saved.paramGroups[0].initial_lr = 3;
    const differences = adam(pair()).loadStateDict(saved.stateDict());
    expect(differences.map(({ setting }) => setting)).toContain('initial_lr');
    expect(describeOptimizerSettings(differences)).toBe(
      "the optimizer's settings stay those of the checkpoint, with and without --adjust-lr: " +
        'SOLVER.WEIGHT_DECAY 0 has no effect (checkpoint: 0.5); SOLVER.BETAS [0.9, 0.999] has no effect (checkpoint: [0.8, 0.999])',
    );
    expect(
      describeOptimizerSettings(differences.filter(({ setting }) => setting === 'initial_lr')),
    ).toBeNull();
  });

  it('distinguishes the decay of the backbone from that of the rest, and describes layer decay in one sentence', () => {
    const difference = (setting: string, names: string[]) => ({
      setting,
      configured: '1',
      loaded: '2',
      names,
      everywhere: false,
    });
    expect(
      describeOptimizerSettings([difference('weight_decay', ['layer_0_decay_encoder', 'rest'])]),
    ).toMatch(/: ViT\.WEIGHT_DECAY and SOLVER\.WEIGHT_DECAY 1 has no effect \(checkpoint: 2\)$/);
    const scales = ['layer_0_decay_encoder', 'layer_1_decay_encoder'].map((name) =>
      difference('lr_scale', [name]),
    );
    expect(describeOptimizerSettings(scales)).toMatch(
      /: ViT\.LAYER_DECAY has no effect: lr_scale of layer_0_decay_encoder would be 1 \(checkpoint: 2\), and so on/,
    );
  });
});
