/** @file The names of OpenMMLab: VideoMAE in mmaction2 (`blocks`) and the ViT of mmpretrain (`layers`). */
import type { Origin } from './origin.js';

const block = (theirs: string): Origin['names'] => [
  [`${theirs}.N.norm1`, 'blocks.N.norm1'],
  [`${theirs}.N.norm2`, 'blocks.N.norm2'],
  [`${theirs}.N.ln1`, 'blocks.N.norm1'],
  [`${theirs}.N.ln2`, 'blocks.N.norm2'],
  [`${theirs}.N.attn.qkv`, 'blocks.N.attn.qkv'],
  [`${theirs}.N.attn.q_bias`, 'blocks.N.attn.q_bias'],
  [`${theirs}.N.attn.v_bias`, 'blocks.N.attn.v_bias'],
  [`${theirs}.N.attn.proj`, 'blocks.N.attn.proj'],
  [`${theirs}.N.attn.gamma1.weight`, 'blocks.N.gamma_1'],
  [`${theirs}.N.ffn.gamma2.weight`, 'blocks.N.gamma_2'],
  [`${theirs}.N.gamma_1`, 'blocks.N.gamma_1'],
  [`${theirs}.N.gamma_2`, 'blocks.N.gamma_2'],
  ...['mlp', 'ffn'].flatMap((mlp): Origin['names'] => [
    [`${theirs}.N.${mlp}.layers.0.0`, 'blocks.N.mlp.fc1'],
    [`${theirs}.N.${mlp}.layers.1`, 'blocks.N.mlp.fc2'],
  ]),
];

export const openMmlab: Origin = {
  title: 'OpenMMLab (mmaction2, mmpretrain)',
  names: [
    ['patch_embed.projection', 'patch_embed.proj'],
    ...block('blocks'),
    ...block('layers'),
    ['ln1', 'norm'],
  ],
};
