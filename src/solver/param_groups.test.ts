import { describe, expect, it } from 'vitest';
import { bareParameter } from '../../test/support/solver_fixtures.js';
import { Module, type Parameter } from '../nn/module.js';
import { getParameterGroups } from './param_groups.js';

const source = (shapes: Record<string, number[]>) => {
  const entries = Object.entries(shapes).map(([name, shape]): [string, Parameter] => [
    name,
    bareParameter(shape),
  ]);
  return { namedParameters: () => entries };
};
const options = { weightDecay: 0.05, skipList: new Set(['pos_embed']) };
const names = (groups: ReturnType<typeof getParameterGroups>) =>
  groups.map((group) => [group.name, group.params.map((param) => param.name)]);

describe('getParameterGroups', () => {
  it('exempts biases, one-dimensional weights and listed names from weight decay, in order of first use', () => {
    const groups = getParameterGroups(
      source({
        pos_embed: [1, 4, 8],
        'blocks.0.norm1.weight': [8],
        'blocks.0.attn.qkv.weight': [24, 8],
        'odd.bias': [2, 2],
        // Only the whole name is listed.
        'other.pos_embed': [1, 4],
        scalar: [],
      }),
      options,
    );
    expect(names(groups)).toEqual([
      ['no_decay_others', ['pos_embed', 'blocks.0.norm1.weight', 'odd.bias']],
      ['decay_others', ['blocks.0.attn.qkv.weight', 'other.pos_embed', 'scalar']],
    ]);
    expect(groups.map(({ weight_decay, lr_scale }) => [weight_decay, lr_scale])).toEqual([
      [0, 1],
      [0.05, 1],
    ]);
  });

  it('keeps an encoder apart, which lrScale does not change', () => {
    const groups = getParameterGroups(
      source({
        'encoder.w': [2, 2],
        'encoder.b.bias': [2],
        'decoder.w': [2, 2],
        'decoder.b.bias': [2],
        'my.encoder.w': [2, 2],
      }),
      { ...options, lrScale: 10 },
    );
    expect(groups.map(({ name, lr_scale, params }) => [name, lr_scale, params.length])).toEqual([
      ['decay_encoder', 1, 1],
      ['no_decay_encoder', 1, 1],
      ['decay_others', 10, 2],
      ['no_decay_others', 10, 1],
    ]);
  });

  it('creates a group per layer and multiplies its factor in', () => {
    const groups = getParameterGroups(source({ 'a.w': [1, 1], 'b.w': [1, 1], 'a.bias': [1] }), {
      ...options,
      getNumLayer: (name) => (name.startsWith('a') ? 0 : 3),
      getLayerScale: (layer) => 0.5 ** layer,
      lrScale: 2,
    });
    expect(groups.map(({ name, lr_scale }) => [name, lr_scale])).toEqual([
      ['layer_0_decay_others', 2],
      ['layer_3_decay_others', 0.25],
      ['layer_0_no_decay_others', 2],
    ]);
  });

  it('leaves frozen parameters out and returns full names', () => {
    class Toy extends Module {
      weight = bareParameter([2, 2]);
      frozen = bareParameter([2, 2]);
    }
    const toy = new Toy();
    toy.frozen.requiresGrad = false;
    expect(names(getParameterGroups(toy, { ...options, prefix: 'backbone.' }))).toEqual([
      ['decay_others', ['backbone.weight']],
    ]);
  });
});
