/** @file The names of CLIP's image tower, and of video models that were made from it. */
import type { Origin } from './origin.js';

export const clip: Origin = {
  title: 'CLIP',
  names: [
    ['conv1', 'patch_embed.proj'],
    ['transformer.resblocks.N.ln_1', 'blocks.N.norm1'],
    ['transformer.resblocks.N.ln_2', 'blocks.N.norm2'],
    ['transformer.resblocks.N.attn.in_proj_weight', 'blocks.N.attn.qkv.weight'],
    ['transformer.resblocks.N.attn.in_proj_bias', 'blocks.N.attn.qkv.bias'],
    ['transformer.resblocks.N.attn.out_proj', 'blocks.N.attn.proj'],
    ['transformer.resblocks.N.mlp.c_fc', 'blocks.N.mlp.fc1'],
    ['transformer.resblocks.N.mlp.c_proj', 'blocks.N.mlp.fc2'],
    ['ln_post', 'norm'],
  ],
};
