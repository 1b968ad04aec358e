/** @file Self-attention. */
import { selfAttention } from '../../nn/attention.js';
import { countOf } from '../../util/text.js';
import { type Case, type Family, floats } from '../case.js';
import { selfAttention as doubleAttention } from '../double_attention.js';

interface Sizes {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly features: number;
}

export function attention(
  sizes: Sizes,
  extra: 'bias' | 'mask' | 'bias and mask' | 'nothing' = 'nothing',
): Case {
  const { batch, tokens, heads, features } = sizes;
  const scores = [batch * heads, tokens, tokens];
  const [hasBias, hasMask] = ['bias', 'mask'].map((word) => extra.includes(word));
  const scale = features ** -0.5;
  // Factors of a mask need not be 0 or 1/keep.
  const inputs = [
    floats([batch, tokens, 3 * heads * features], -2, 2),
    ...(hasBias ? [floats(scores, -3, 3)] : []),
    ...(hasMask ? [floats(scores, 0, 2)] : []),
  ];
  const named = <T>(rest: readonly T[]) => ({
    bias: hasBias ? rest[0] : undefined,
    mask: hasMask ? rest.at(-1) : undefined,
  });
  return {
    name: `${countOf(batch, 'clip')}, ${countOf(tokens, 'token')}, ${countOf(heads, 'head')} of ${features}, ${extra === 'nothing' ? 'without bias' : `with ${extra}`}`,
    inputs,
    gradients: hasBias ? [0, 1] : [0],
    compute: (qkv, ...rest) => selfAttention(qkv, heads, { scale, ...named(rest) }),
    expected: ([qkv, ...rest], dy) => doubleAttention({ qkv, dy, ...named(rest), ...sizes, scale }),
  };
}

const SMALL: Sizes = { batch: 2, tokens: 7, heads: 3, features: 5 };

export const ATTENTION: Family = {
  name: 'self-attention',
  tolerance: { norm: 1e-5, largest: 2e-5 },
  reason: 'two products and a softmax; float32 keeps about 2e-6',
  cases: [
    attention({ batch: 1, tokens: 1, heads: 1, features: 3 }),
    attention(SMALL),
    attention(SMALL, 'bias'),
    attention(SMALL, 'mask'),
    attention(SMALL, 'bias and mask'),
    attention({ batch: 1, tokens: 203, heads: 2, features: 64 }),
    attention({ batch: 2, tokens: 101, heads: 2, features: 32 }, 'bias'),
  ],
};
