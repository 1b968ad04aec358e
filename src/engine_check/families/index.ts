/** @file All kernel families, in the order in which the check reports them. */
import type { Family } from '../case.js';
import { ATTENTION } from './attention.js';
import { CONVOLUTIONS, OVERLAPPING_POOLING, POOLING } from './convolution.js';
import { ELEMENTWISE } from './elementwise.js';
import { GATHER, ROW_SUMS } from './indexing.js';
import { ACTIVATIONS, BATCH_NORM, LAYER_NORM } from './layers.js';
import { LOGIC } from './logic.js';
import { NONFINITE } from './nonfinite.js';
import { OPTIMIZERS } from './optimizers.js';
import { LINEAR, PRODUCTS } from './products.js';
import { MAXIMA, SUMS } from './reductions.js';
import { SHAPES, TILING_GRADIENTS } from './shapes.js';

export const FAMILIES: readonly Family[] = [
  ELEMENTWISE,
  LOGIC,
  SUMS,
  MAXIMA,
  SHAPES,
  TILING_GRADIENTS,
  GATHER,
  ROW_SUMS,
  PRODUCTS,
  LINEAR,
  ATTENTION,
  LAYER_NORM,
  BATCH_NORM,
  ACTIVATIONS,
  CONVOLUTIONS,
  POOLING,
  OVERLAPPING_POOLING,
  OPTIMIZERS,
  NONFINITE,
];
