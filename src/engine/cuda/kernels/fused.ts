/** @file The fused kernels of the cuda engine. */
import { gelu, geluGrad, reluGrad } from './activations.js';
import { adamUpdate } from './adam.js';
import { selfAttention, selfAttentionGrad } from './attention.js';
import { batchNorm, batchNormGrad, columnSums } from './batch_norm.js';
import { conv3dKernels } from './convolution/conv.js';
import { layerNorm, layerNormGrad } from './layer_norm.js';
import { linear, linearGrad } from './linear.js';
import { maxPool3d, maxPool3dGrad } from './max_pool3d.js';
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
  ...conv3dKernels(),
  batchNorm,
  batchNormGrad,
  columnSums,
  maxPool3d,
  maxPool3dGrad,
  weightedRowSum,
  weightedRowSumGradTable,
  weightedRowSumGradWeight,
  adamUpdate,
  sumOfSquares,
] as const;
