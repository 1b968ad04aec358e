/** @file The lowerings of tfjs's operations, by the name of the operation. */
import { constantLowerings } from './constants.js';
import { conv3dLowerings } from './convolution/tfjs.js';
import { elementwiseLowerings } from './elementwise.js';
import { indexingLowerings } from './indexing.js';
import type { Lowering } from './lowering.js';
import { batchMatMul } from './matmul.js';
import { reduceLowerings } from './reduce.js';
import { scatterNd, unsortedSegmentSum } from './scatter/scatter.js';
import { shapeLowerings } from './shape.js';

export const tfjsLowerings: Readonly<Record<string, Lowering>> = {
  ...elementwiseLowerings,
  ...shapeLowerings,
  ...indexingLowerings,
  ...reduceLowerings,
  ...constantLowerings,
  ...conv3dLowerings,
  BatchMatMul: batchMatMul,
  ScatterNd: scatterNd,
  UnsortedSegmentSum: unsortedSegmentSum,
};
