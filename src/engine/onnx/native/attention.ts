/** @file Self-attention as native kernels (attention.c, attention_grad.c). */
import type { FusedAttributes } from '../../kernel_contract.js';
import type { Operand } from '../graph_builder.js';
import { floats, fusedKernel } from '../kernel.js';

type Attributes = FusedAttributes<'SelfAttention'>;

/** B clips, N tokens, H heads and D features of a head, for joint projections. */
function extents({ shape: [B, N, width] }: { shape: readonly number[] }, { heads }: Attributes) {
  return [B, N, heads, width / heads / 3];
}

/** The attributes of the operators. */
function parameters(qkv: Operand, attributes: Attributes) {
  return { ints: extents(qkv, attributes), floats: [attributes.scale] };
}

export const nativeSelfAttention = fusedKernel('SelfAttention', {
  results: ({ qkv }, attributes) => {
    const [B, N, H, D] = extents(qkv, attributes);
    return [floats([B, N, H, D], [B, N, H * D])];
  },
  lower: (g, { qkv, bias, mask }, attributes) => {
    const results = [floats(extents(qkv, attributes))];
    const inputs = [qkv.name, bias?.name ?? '', mask?.name ?? ''];
    const [out] = g.native('SelfAttention', inputs, { results, ...parameters(qkv, attributes) });
    return [out];
  },
});

export const nativeSelfAttentionGrad = fusedKernel('SelfAttentionGrad', {
  results: ({ qkv, bias }, attributes) => {
    const [B, N, H, D] = extents(qkv, attributes);
    const dqkv = floats([B, N, 3, H, D], qkv.shape);
    return bias ? [dqkv, floats(bias.shape)] : [dqkv];
  },
  lower: (g, { dy, qkv, out, bias, mask }, attributes) => {
    const [B, N, H, D] = extents(qkv, attributes);
    const dqkv = floats([B, N, 3, H, D]);
    const results = bias ? [dqkv, floats(bias.shape)] : [dqkv];
    const inputs = [dy.name, qkv.name, out.name, bias?.name ?? '', mask?.name ?? ''];
    const [gradient, dbias] = g.native('SelfAttentionGrad', inputs, {
      results,
      ...parameters(qkv, attributes),
    });
    return bias ? [gradient, dbias] : [gradient];
  },
});
