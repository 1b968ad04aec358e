/** @file The fused kernels of the cuda engine. */
import { gelu, geluGrad, reluGrad } from './activations.js';
import { adamUpdate } from './adam.js';
import { selfAttention, selfAttentionGrad } from './attention.js';
import { conv, convGradFilter, convGradInput } from './conv.js';
import { layerNorm, layerNormGrad } from './layer_norm.js';
import { linear, linearGrad } from './linear.js';
import { weightedRowSum, weightedRowSumGradTable, weightedRowSumGradWeight } from './row_gather.js';
import { sumOfSquares } from './sum_of_squares.js';

/** All kernels of the contract. */
export const fusedKernels = [
  gelu,
  geluGrad,
  reluGrad,
  layerNorm,
  layerNormGrad,
  linear,
  linearGrad,
  selfAttention,
  selfAttentionGrad,
  conv,
  convGradInput,
  convGradFilter,
  weightedRowSum,
  weightedRowSumGradTable,
  weightedRowSumGradWeight,
  adamUpdate,
  sumOfSquares,
] as const;
