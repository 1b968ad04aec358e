/** @file Self-attention and its gradient, computed by the native library. */
import type { FusedAttributes } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import type { Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { selfAttention, selfAttentionGrad } from '../kernels/attention.js';

/** The attributes of the operators: clips, tokens, heads, features of a head, and the factor on the scores. */
function parameters(qkv: Operand, { heads, scale }: FusedAttributes<'SelfAttention'>) {
  const [B, N, width] = qkv.shape;
  return { ints: [B, N, heads, width / heads / 3], floats: [scale] };
}

/** The name of an operand, '' if it is missing. */
const nameOf = (operand?: Operand) => operand?.name ?? '';

export const nativeSelfAttention = fusedKernel('SelfAttention', {
  ...selfAttention.definition,
  lower: (g, { qkv, bias, mask }, attributes) => {
    const { ints, floats: numbers } = parameters(qkv, attributes);
    const inputs = [qkv.name, nameOf(bias), nameOf(mask)];
    const [out] = g.native('SelfAttention', inputs, { results: [floats(ints)], ints, floats: numbers });
    return [out];
  },
});

export const nativeSelfAttentionGrad = fusedKernel('SelfAttentionGrad', {
  ...selfAttentionGrad.definition,
  lower: (g, { dy, qkv, out, bias, mask }, attributes) => {
    const { ints, floats: numbers } = parameters(qkv, attributes);
    const [B, N, H, D] = ints;
    const dqkv = floats([B, N, 3, H, D]);
    const inputs = [dy.name, qkv.name, out.name, nameOf(bias), nameOf(mask)];
    const results = bias ? [dqkv, floats(bias.shape)] : [dqkv];
    const [gradient, dbias] = g.native('SelfAttentionGrad', inputs, { results, ints, floats: numbers });
    return bias ? [gradient, dbias] : [gradient];
  },
});
