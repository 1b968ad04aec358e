/** @file Tests of finding tensors under other names by their shapes and the likeness of the names. */
import { describe, expect, test } from 'vitest';
import { modelTensors, only } from '../../test/support/model_tensors.js';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { groupOf } from './model_parts.js';
import { kindsOf, likelyRenamings } from './renaming.js';

const blocks = only(modelTensors(tinyConfig({ 'ViT.DEPTH': 3 })), /^backbone\.(patch_embed|blocks)/);
const shapes = Array.from(blocks, ([name, { shape }]) => [name, shape] as const);

/** Renamings found for a model that lacks every tensor to which `rename` gives another name. */
function found(rename: (name: string) => string): [from: string, to: string][] {
  const other = shapes.filter(([name]) => rename(name) !== name);
  const missing = kindsOf(other, groupOf);
  const unexpected = kindsOf(other.map(([name, shape]) => [rename(name), shape]));
  return likelyRenamings(missing, unexpected).map(({ from, to }) => [from.name, to.name]);
}

function replacing(words: Readonly<Record<string, string>>): (name: string) => string {
  return (name) => Object.entries(words).reduce((text, [from, to]) => text.replace(from, to), name);
}

describe('tensors under other names', () => {
  test.each<[string, Record<string, string>]>([
    [
      'mmaction2',
      {
        'patch_embed.proj': 'patch_embed.projection',
        'mlp.fc1': 'mlp.layers.0.0',
        'mlp.fc2': 'mlp.layers.1',
      },
    ],
    ['CLIP', { norm1: 'ln_1', norm2: 'ln_2', 'mlp.fc1': 'mlp.c_fc', 'mlp.fc2': 'mlp.c_proj' }],
    ['a sequence', { 'mlp.fc1': 'mlp.0', 'mlp.fc2': 'mlp.3' }],
    ['gamma and beta', { 'norm1.weight': 'norm1.gamma', 'norm1.bias': 'norm1.beta' }],
    ['another module', { 'attn.proj': 'attn.out_proj', 'attn.qkv.weight': 'attn.in_proj_weight' }],
    ['other blocks', { 'backbone.blocks': 'layers' }],
    ['a prefix', { backbone: 'model.backbone' }],
    [
      'transformers',
      {
        'backbone.patch_embed.proj': 'videomae.embeddings.patch_embeddings.projection',
        'backbone.blocks': 'videomae.encoder.layer',
        'mlp.fc1': 'intermediate.dense',
        'mlp.fc2': 'output.dense',
        'attn.proj': 'attention.output.dense',
        norm1: 'layernorm_before',
        norm2: 'layernorm_after',
      },
    ],
  ])('are found for the names of %s', (_, words) => {
    const rename = replacing(words);
    const kinds = kindsOf(shapes.filter(([name]) => rename(name) !== name)).map(({ name }) => name);
    expect(found(rename)).toEqual(kinds.map((name) => [rename(name), name]));
  });

  test('are not found if shapes or numbers differ, or no name is similar', () => {
    const of = (name: string, ...shape: number[]) => kindsOf([[name, shape]]);
    const proj = of('backbone.patch_embed.proj.weight', 8, 3);
    expect(likelyRenamings(proj, of('backbone.patch_embed.projection.weight', 8, 4))).toEqual([]);
    expect(likelyRenamings(of('backbone.blocks.0.norm1.weight', 8), of('blocks.1.ln1.weight', 8))).toEqual(
      [],
    );
    expect(likelyRenamings(of('backbone.blocks.0.norm1.weight', 8), of('blocks.0.norm_1.bias', 8))).toEqual(
      [],
    );
    expect(likelyRenamings(of('backbone.blocks.0.norm1.weight', 8), of('x', 8))).toEqual([]);
    expect(likelyRenamings(proj, of('stm_head.proj.weight', 8, 3))).toEqual([]);
  });

  test('are not taken from the decoder of pre-training', () => {
    const decoder = kindsOf(shapes.map(([name, shape]) => [name.replace('backbone', 'decoder'), shape]));
    expect(likelyRenamings(kindsOf(shapes, groupOf), decoder)).toEqual([]);
  });

  test('are found in bounded time in a file of many tensors', () => {
    const many = kindsOf(Array.from({ length: 200_000 }, (_, i) => [`x${i}.norm.weight`, [8]]));
    const begin = performance.now();
    likelyRenamings(kindsOf(shapes, groupOf), many);
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});
