import { describe, expect, it } from 'vitest';
import { parameterOf, solverConfig } from '../../test/support/solver_fixtures.js';
import type { PyValue } from '../formats/python/values.js';
import { AdamW } from './adamw.js';
import { lrScaleWarning } from './lr_scale_warning.js';
import { describeDifference, settingDifferences } from './setting_differences.js';

const ours = (apply: boolean) =>
  new AdamW([{ name: 'all', params: [{ name: 'p', parameter: parameterOf([1]) }], lr_scale: 0.5 }], {
    lr: 1,
    weightDecay: 0,
    applyLrScale: apply,
  }).stateDict();
const official: PyValue = {
  state: {},
  param_groups: [
    { lr: 1, lr_scale: 0.5, params: [0] },
    { lr: 1, lr_scale: 1, params: [1] },
    { lr: 1, params: [2] },
  ],
};
const decayed = (apply: boolean) =>
  solverConfig({ 'ViT.DEPTH': 1, 'ViT.LAYER_DECAY': 0.5, 'SOLVER.APPLY_LR_SCALE': apply });

describe('lrScaleWarning', () => {
  it('warns if an official run continues with layer decay, whose factors are those of the file', () => {
    expect(lrScaleWarning(decayed(true), official)).toMatch(
      /official code.*LAYER_DECAY 0.5 this run multiplies .* by 0.500 to 1.00. Set SOLVER.APPLY_LR_SCALE False/,
    );
  });

  it('warns if APPLY_LR_SCALE was changed', () => {
    expect(lrScaleWarning(decayed(true), ours(false))).toMatch(/trained with SOLVER.APPLY_LR_SCALE False/);
    expect(lrScaleWarning(decayed(false), ours(true))).toMatch(/no longer multiplies.*APPLY_LR_SCALE True/);
  });

  it('returns nothing if the learning rates stay the same', () => {
    expect(lrScaleWarning(decayed(false), official)).toBeNull();
    expect(lrScaleWarning(decayed(true), ours(true))).toBeNull();
    expect(lrScaleWarning(decayed(false), ours(false))).toBeNull();
    expect(lrScaleWarning(solverConfig({ 'ViT.LAYER_DECAY': 1 }), official)).toBeNull();
    const convolutional = { 'MODEL.BACKBONE.CONV_BODY': 'PySlowonly', 'ViT.LAYER_DECAY': 0.5 };
    expect(lrScaleWarning(solverConfig(convolutional), official)).toBeNull();
  });
});

describe('settingDifferences', () => {
  const named = (...decays: number[]) =>
    decays.map((weight_decay, i) => ({ name: `g${i}`, settings: { weight_decay } }));

  it('merges equal changes and counts long lists', () => {
    const differences = settingDifferences(named(1, 1, 1, 1, 1, 3), named(2, 2, 2, 2, 2, 3));
    expect(differences.map(describeDifference)).toEqual([
      'weight_decay (g0, g1, g2 and 2 more) is 2 from the checkpoint; the configuration asks for 1',
    ]);
  });

  it('names no groups if all changed, and returns nothing if none did', () => {
    expect(settingDifferences(named(1, 1), named(2, 2)).map(describeDifference)).toEqual([
      'weight_decay is 2 from the checkpoint; the configuration asks for 1',
    ]);
    expect(settingDifferences(named(1, 1), named(1, 1))).toEqual([]);
  });

  it('shortens lists of equal numbers, such as the base learning rates', () => {
    const rates = (...base_lrs: number[]) => [{ name: 'schedule', settings: { base_lrs } }];
    expect(settingDifferences(rates(1, 1, 1), rates(1, 1, 2)).map(describeDifference)).toEqual([
      'base_lrs is [1, 1, 2] from the checkpoint; the configuration asks for 3 × 1',
    ]);
  });

  it('distinguishes unset from set', () => {
    const [difference] = settingDifferences(
      [{ name: 'a', settings: { lr_scale: undefined } }],
      [{ name: 'a', settings: { lr_scale: 1 } }],
    );
    expect(difference).toMatchObject({ configured: 'unset', loaded: '1' });
  });
});
