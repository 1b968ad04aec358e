import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { solverConfig } from '../../test/support/solver_fixtures.js';
import { getNumLayerForVit } from '../model/vit.js';
import { LayerDecayValueAssigner } from './layer_decay.js';

describe('getNumLayerForVit', () => {
  it.each([
    ['cls_token', 0],
    ['mask_token', 0],
    ['pos_embed', 0],
    ['patch_embed.proj.weight', 0],
    ['patch_embed.proj.bias', 0],
    ['rel_pos_bias.relative_position_bias_table', 13],
    ['blocks.0.norm1.weight', 1],
    ['blocks.1.attn.qkv.weight', 2],
    ['blocks.11.mlp.fc2.bias', 12],
    ['norm.weight', 13],
    ['fc_norm.bias', 13],
    ['head.weight', 13],
    // Only whole names are tokens, and only a numbered block is one.
    ['cls_token_2', 13],
    ['pos_embed.weight', 13],
    ['blocks.last.weight', 13],
    ['my_blocks.3.weight', 13],
  ])('puts %s into layer %i of 14', (name, layer) => {
    expect(getNumLayerForVit(name, 14)).toBe(layer);
    expect(getNumLayerForVit(`backbone.${name}`, 14)).toBe(layer);
  });
});

describe('LayerDecayValueAssigner', () => {
  it('has one factor per layer, from embeddings to head', () => {
    const assigner = LayerDecayValueAssigner.fromConfig(
      solverConfig({ 'ViT.DEPTH': 2, 'ViT.LAYER_DECAY': 0.5 }),
    );
    expect(assigner.values).toEqual([0.125, 0.25, 0.5, 1]);
    expect(assigner.getScale(assigner.getLayerId('patch_embed.proj.weight'))).toBe(0.125);
    expect(assigner.getScale(assigner.getLayerId('blocks.1.norm1.bias'))).toBe(0.5);
    expect(assigner.getScale(assigner.getLayerId('norm.weight'))).toBe(1);
  });

  it('refuses a layer that the backbone does not have', () => {
    const assigner = new LayerDecayValueAssigner([0.5, 1]);
    expect(() => assigner.getScale(assigner.getLayerId('blocks.7.norm1.bias'))).toThrow(
      /layer 8 .* layers 0 to 1/,
    );
  });

  it('rises by the same factor from layer to layer and ends at 1', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0.3, max: 0.99, noNaN: true }),
        (depth, decay) => {
          const { values } = LayerDecayValueAssigner.fromConfig(
            solverConfig({ 'ViT.DEPTH': depth, 'ViT.LAYER_DECAY': decay }),
          );
          expect(values.length).toBe(depth + 2);
          expect(values[depth + 1]).toBe(1);
          for (let i = 0; i <= depth; i++) expect(values[i] / values[i + 1]).toBeCloseTo(decay, 10);
        },
      ),
    );
  });
});
