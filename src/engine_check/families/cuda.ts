/** @file What the cuda engine computes in other ways: products in bfloat16, and everything that libraries compute, without them. */
import { runningBestRates } from '../../engine/cuda/best_rates.js';
import type { Variant } from '../../engine/cuda/variants.js';
import type { Family } from '../case.js';
import { ATTENTION, attention } from './attention.js';
import { CONVOLUTIONS, conv } from './convolution.js';
import { LINEAR, layer, matMul, PRODUCTS } from './products.js';

/** Cases that are large enough for operands in bfloat16. */
const BFLOAT16: Family = {
  name: 'products in bfloat16',
  tolerance: { norm: 1e-2, largest: 3e-2 },
  reason: 'seven bits of mantissa give 2e-3 for each operand; sums in bfloat16 would give 1e-1',
  cases: [
    matMul({ rows: 256, inner: 384, columns: 192 }),
    layer({ rows: 320, inner: 192, columns: 128 }, 'with'),
    attention({ batch: 1, tokens: 203, heads: 2, features: 64 }),
    conv([1, 4, 10, 12], 32, 24),
    conv([1, 4, 20, 24], 32, 40, { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] }),
  ],
};

/** The families of the running cuda engine, each with how it is computed; empty on other engines. */
export function cudaFamilies(): readonly (readonly [Variant, Family])[] {
  const best = runningBestRates();
  if (!best) return [];
  const own = [PRODUCTS, LINEAR, ATTENTION, CONVOLUTIONS].map(
    (family) => ['own kernels', { ...family, name: `${family.name}, own kernels` }] as const,
  );
  return [...own, ...(best.bfloat16 === null ? [] : [['bfloat16', BFLOAT16] as const])];
}
