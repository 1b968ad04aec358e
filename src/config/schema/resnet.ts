/** @file Schema of what belongs to ResNet backbones, which cannot be built here: accepted so that files carry over. */
import {
  AT_LEAST_ONE,
  bool,
  float,
  int,
  item,
  list,
  NOT_NEGATIVE,
  POSITIVE,
  section,
  text,
  UNIT_INTERVAL,
} from './fields.js';

export const RESNETS_ONLY = 'only ResNet backbones read it, and none can be built so far';

const unused = { noEffect: RESNETS_ONLY };
const perStage = { minItems: 4, maxItems: 4, ...unused };

export const MODEL_NONLOCAL = section('Non-local blocks of I3D and SlowFast.', {
  CONV_INIT_STD: float(0.01, 'Deviation of the first weights.', { ...NOT_NEGATIVE, ...unused }),
  USE_ZERO_INIT_CONV: bool(false, 'Start the last convolution at zero.', unused),
  NO_BIAS: bool(false, 'Convolutions without bias.', unused),
  USE_MAXPOOL: bool(true, 'Pool keys and values.', unused),
  USE_SOFTMAX: bool(true, 'Normalise by softmax.', unused),
  USE_SCALE: bool(true, 'Scale before the softmax.', unused),
  USE_BN: bool(true, 'Batch normalisation at the end.', unused),
  FROZEN_BN: bool(false, 'Freeze it.', unused),
  BN_MOMENTUM: float(0.1, 'Its momentum.', { ...UNIT_INTERVAL, ...unused }),
  BN_EPSILON: float(1e-5, 'Its epsilon.', { ...POSITIVE, ...unused }),
  BN_INIT_GAMMA: float(0, 'First value of its scale.', unused),
});

export const RESNET = section('ResNet backbones in the manner of PySlowFast.', {
  TRANS_FUNC: text('bottleneck_transform', 'Kind of residual block.', unused),
  NUM_GROUPS: int(1, 'Groups of the convolutions.', { ...AT_LEAST_ONE, ...unused }),
  WIDTH_PER_GROUP: int(64, 'Channels per group.', { ...AT_LEAST_ONE, ...unused }),
  INPLACE_RELU: bool(true, 'Overwrite the input of a ReLU.', unused),
  STRIDE_1X1: bool(false, 'Stride in the 1×1 convolution.', unused),
  ZERO_INIT_FINAL_BN: bool(false, 'Start the last scale of a block at zero.', unused),
  DEPTH: int(50, 'Layers.', { ...AT_LEAST_ONE, ...unused }),
  NUM_BLOCK_TEMP_KERNEL: list(
    item.list(item.int()),
    [[3], [4], [6], [3]],
    'Blocks with a temporal kernel, per stage and pathway.',
    perStage,
  ),
  SPATIAL_STRIDES: list(
    item.list(item.int()),
    [[1], [2], [2], [2]],
    'Strides, per stage and pathway.',
    perStage,
  ),
  SPATIAL_DILATIONS: list(
    item.list(item.int()),
    [[1], [1], [1], [1]],
    'Dilations, per stage and pathway.',
    perStage,
  ),
  DEFORM_ON_PER_STAGE: list(item.bool(), [false, false, false, false], 'Deformable stages.', perStage),
});

export const NONLOCAL = section('Non-local blocks of PySlowFast backbones.', {
  LOCATION: list(
    item.list(item.list(item.int())),
    [[[]], [[]], [[]], [[]]],
    'Blocks with a non-local layer, per stage and pathway.',
    perStage,
  ),
  GROUP: list(item.list(item.int()), [[1], [1], [1], [1]], 'Groups, per stage and pathway.', perStage),
  INSTANTIATION: text('dot_product', 'Kind of non-local layer.', unused),
  POOL: list(
    item.list(item.list(item.int())),
    Array.from({ length: 4 }, () => [
      [1, 2, 2],
      [1, 2, 2],
    ]),
    'Pooling, per stage and pathway.',
    perStage,
  ),
});

export const SLOWFAST = section('The two pathways of PySlowFast backbones.', {
  BETA_INV: int(8, 'Channels of the slow pathway per channel of the fast one.', {
    ...AT_LEAST_ONE,
    ...unused,
  }),
  ALPHA: int(8, 'Frames of the fast pathway per frame of the slow one.', { ...AT_LEAST_ONE, ...unused }),
  FUSION_CONV_CHANNEL_RATIO: int(2, 'Channels that the fusion adds.', { ...AT_LEAST_ONE, ...unused }),
  FUSION_KERNEL_SZ: int(5, 'Kernel size of the fusion.', { ...AT_LEAST_ONE, ...unused }),
});
