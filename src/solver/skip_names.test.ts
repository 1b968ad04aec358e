/** @file Names in ViT.NO_WEIGHT_DECAY that match nothing, and that what is proposed does. */
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { Detector } from '../model/detector.js';
import { makeOptimizer } from './make_optimizer.js';
import { skipNameWarnings } from './skip_names.js';

const of = (...names: string[]) => {
  const cfg = tinyConfig({ 'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B', 'ViT.NO_WEIGHT_DECAY': names });
  return { cfg, model: new Detector(cfg) };
};
const warnings = (...names: string[]) => {
  const { cfg, model } = of(...names);
  return skipNameWarnings(cfg, model);
};

describe('skipNameWarnings', () => {
  it('returns nothing for names of parameters, and for the official name', () => {
    expect(warnings('pos_embed', 'blocks.0.attn.qkv.weight', 'patch_embed.proj.weight')).toEqual([]);
  });

  it.each([
    ['backbone.blocks.0.attn.qkv.weight', 'write blocks.0.attn.qkv.weight'],
    ['blocks.0.atn.qkv.weigth', 'nearest are blocks.0.attn.qkv.weight, '],
    ['qkv.weight', 'nearest are blocks.0.attn.qkv.weight, blocks.1.attn.qkv.weight'],
    ['blocks.0.*', 'nearest are blocks.0.'],
  ])('shows similar names for %s', (name, near) => {
    const [warning, ...others] = warnings(name);
    expect(others).toEqual([]);
    expect(warning).toContain(
      `ViT.NO_WEIGHT_DECAY: "${name}" is the name of no parameter of the backbone and has no effect`,
    );
    expect(warning).toContain(near);
  });

  it('proposes names that have an effect', () => {
    const { cfg, model } = of('blocks.0.attn.qkv.weight');
    const withDecay = makeOptimizer(cfg, model).paramGroups.filter(({ weight_decay }) => weight_decay !== 0);
    const names = withDecay.flatMap(({ params }) => params.map(({ name }) => name));
    expect(names).toContain('backbone.blocks.1.attn.qkv.weight');
    expect(names).not.toContain('backbone.blocks.0.attn.qkv.weight');
  });
});
