/** @file timm's names, which are also those of MAE and BEiT: one bias for queries, keys and values. */
import type { Origin } from './origin.js';

export const timm: Origin = {
  title: 'timm',
  names: [
    ['blocks.N.attn.qkv.bias', 'blocks.N.attn.qkv.bias'],
    ['blocks.N.ls1.gamma', 'blocks.N.gamma_1'],
    ['blocks.N.ls2.gamma', 'blocks.N.gamma_2'],
  ],
};
