/** @file The kernels of the onnx engine on a GPU. */
import { conv3dKernels } from '../kernels/conv_products.js';
import { selfAttention, selfAttentionGrad } from './attention.js';
import { convGradInput } from './conv3d.js';
import { floorDiv } from './elementwise.js';
import { gather, scatterNd, unsortedSegmentSum } from './indexing.js';
import { itemsPerPiece } from './limits.js';
import { linear, linearGrad } from './linear.js';
import { weightedRowSum, weightedRowSumGradTable, weightedRowSumGradWeight } from './row_gather.js';
import { softmax } from './softmax.js';
import { sumOfSquares } from './sum_of_squares.js';

/** Numbers of a transformed tile for each channel. */
const TILE_POINTS = 64;

const tilesPerPiece = (channels: number) => itemsPerPiece(TILE_POINTS * channels);
const { conv, gradInput, gradFilter } = conv3dKernels({
  chunkSize: itemsPerPiece,
  tiles: { forward: tilesPerPiece, filter: tilesPerPiece },
});

/** tfjs's kernels that differ from those on the CPU. */
export const GPU_TFJS_KERNELS = [floorDiv, softmax, gather, scatterNd, unsortedSegmentSum, convGradInput];

/** Fused kernels that differ from those on the CPU. */
export const GPU_FUSED_KERNELS = {
  Linear: linear,
  LinearGrad: linearGrad,
  SelfAttention: selfAttention,
  SelfAttentionGrad: selfAttentionGrad,
  Conv3d: conv,
  Conv3dGradInput: gradInput,
  Conv3dGradFilter: gradFilter,
  WeightedRowSum: weightedRowSum,
  WeightedRowSumGradTable: weightedRowSumGradTable,
  WeightedRowSumGradWeight: weightedRowSumGradWeight,
  SumOfSquares: sumOfSquares,
};
