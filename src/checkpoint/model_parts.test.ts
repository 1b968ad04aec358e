/** @file The list of names of tensors beside those that models really have. */
import { expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/tiny_config.js';
import { type Config, loadConfig } from '../config/index.js';
import { Detector } from '../model/detector.js';
import { groupOf, isKnownName, kindOf, likelyGroupOf, partOf, TENSOR_NAMES } from './model_parts.js';

const BUFFER = 'stm_head.criterion.empty_weight';
const CONFIGS: Config[] = [
  tinyConfig({ 'ViT.INIT_VALUES': 0.1, 'ViT.USE_LEARNABLE_POS_EMB': true }),
  tinyConfig({
    'ViT.QKV_BIAS': false,
    'MODEL.STM.NUM_FCS': 4,
    'MODEL.STM.NUM_CLS': 2,
    'MODEL.STM.NUM_REG': 3,
  }),
  tinyConfig({ 'MODEL.STM.NUM_ACT': 3, 'ViT.DEPTH': 12, 'MODEL.STM.NUM_STAGES': 6 }),
  ...[
    'my_VMAEv2-ViTB-16x4',
    'PySlowonly-R50-K400-4x16',
    'PySlowfast-R50-K400-8x8',
    'PySlowfast-R101-NL-K600-8x8',
  ].map((name) => loadConfig(`config_files/${name}.yaml`).config),
];
const names = CONFIGS.flatMap((cfg) => Array.from(new Detector(cfg).namedState(), ([name]) => name));

test('lists every tensor of a model', () => {
  expect([...names, BUFFER].filter((name) => !isKnownName(name))).toEqual([]);
  const bare = names.map((name) => name.replace(/^(backbone|stm_head)\./, ''));
  expect(bare.filter((name) => !isKnownName(name))).toEqual([]);
});

test('lists only names of models', () => {
  const patterns = TENSOR_NAMES.map((name) => new RegExp(`^${name.replaceAll('N', '\\d+')}$`));
  const unused = patterns.filter((pattern) => ![...names, BUFFER].some((name) => pattern.test(name)));
  expect(unused).toEqual([]);
});

test('recognises no other names', () => {
  for (const name of [
    'patch_embed.projection.weight',
    'blocks.0.mlp.layers.0.0.weight',
    'blocks.0.attn.qkv.bias',
  ])
    for (const prefix of ['', 'backbone.']) expect(isKnownName(prefix + name), prefix + name).toBe(false);
  for (const name of [
    'fc_norm.weight',
    'head.weight',
    'head.projection.weight',
    's1.pathway0_stem.conv_xy.weight',
    's2.pathway0_res0.branch2.se.fc1.weight',
    'lateral_convs.0.2.weight',
    'decoder.blocks.0.norm1.weight',
  ])
    expect(isKnownName(name), name).toBe(false);
});

test('derives groups, parts and kinds from the names', () => {
  expect([...new Set(names.map(groupOf))]).toEqual(['backbone', 'neck', 'head']);
  const parts = new Set(names.map(partOf));
  for (const part of [
    'position embedding',
    'patch embedding',
    'blocks.N.mlp.fc1.weight',
    'level 3',
    'decoder stage 5',
    's1.pathway1_stem',
    's4_fuse',
    's4.pathway0_resN',
    's4.pathway0_nonlocalN',
  ])
    expect(parts).toContain(part);
  expect(kindOf('backbone.blocks.11.mlp.layers.0.0.weight')).toEqual({
    kind: 'backbone.blocks.N.mlp.layers.0.0.weight',
    index: 11,
  });
  expect(kindOf('norm.bias')).toEqual({ kind: 'norm.bias', index: -1 });
  expect(
    [
      'blocks.0.x',
      's5.x',
      's1_fuse.x',
      'model.backbone.x',
      'decoder_stages.0.x',
      'lateral_convs.0.x',
      'fpn.0.x',
    ].map(likelyGroupOf),
  ).toEqual(['backbone', 'backbone', 'backbone', 'backbone', 'head', 'neck', null]);
});
