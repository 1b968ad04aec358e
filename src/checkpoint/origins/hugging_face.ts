/** @file The names of VideoMAE and ViT in Hugging Face's transformers. */
import type { Origin } from './origin.js';

export const huggingFace: Origin = {
  title: 'Hugging Face transformers',
  names: [
    ['embeddings.patch_embeddings.projection', 'patch_embed.proj'],
    ['embeddings.position_embeddings', 'pos_embed'],
    ['encoder.layer.N.attention.attention.query', 'blocks.N.attn.q'],
    ['encoder.layer.N.attention.attention.key', 'blocks.N.attn.k'],
    ['encoder.layer.N.attention.attention.value', 'blocks.N.attn.v'],
    ['encoder.layer.N.attention.attention.q_bias', 'blocks.N.attn.q_bias'],
    ['encoder.layer.N.attention.attention.k_bias', 'blocks.N.attn.k.bias'],
    ['encoder.layer.N.attention.attention.v_bias', 'blocks.N.attn.v_bias'],
    ['encoder.layer.N.attention.output.dense', 'blocks.N.attn.proj'],
    ['encoder.layer.N.intermediate.dense', 'blocks.N.mlp.fc1'],
    ['encoder.layer.N.output.dense', 'blocks.N.mlp.fc2'],
    ['encoder.layer.N.layernorm_before', 'blocks.N.norm1'],
    ['encoder.layer.N.layernorm_after', 'blocks.N.norm2'],
    ['encoder.layer.N.lambda_1', 'blocks.N.gamma_1'],
    ['encoder.layer.N.lambda_2', 'blocks.N.gamma_2'],
    ['layernorm', 'norm'],
  ],
};
