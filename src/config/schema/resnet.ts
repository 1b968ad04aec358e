/** @file Schema of the keys of ResNet backbones, which cannot be built. The keys are accepted so that official files load. */
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
  CONV_INIT_STD: float(0.01, 'Standard deviation of the initial weights.', { ...NOT_NEGATIVE, ...unused }),
  USE_ZERO_INIT_CONV: bool(false, 'Initialise the last convolution with zeros.', unused),
  NO_BIAS: bool(false, 'Use convolutions without bias.', unused),
  USE_MAXPOOL: bool(true, 'Pool keys and values.', unused),
  USE_SOFTMAX: bool(true, 'Normalise with softmax.', unused),
  USE_SCALE: bool(true, 'Scale before the softmax.', unused),
  USE_BN: bool(true, 'End with batch normalisation.', unused),
  FROZEN_BN: bool(false, 'Freeze that batch normalisation.', unused),
  BN_MOMENTUM: float(0.1, 'Momentum of that batch normalisation.', { ...UNIT_INTERVAL, ...unused }),
  BN_EPSILON: float(1e-5, 'Epsilon of that batch normalisation.', { ...POSITIVE, ...unused }),
  BN_INIT_GAMMA: float(0, 'Initial scale of that batch normalisation.', unused),
});

export const RESNET = section('ResNet backbones of PySlowFast.', {
  TRANS_FUNC: text('bottleneck_transform', 'Kind of residual block.', unused),
  NUM_GROUPS: int(1, 'Groups of the convolutions.', { ...AT_LEAST_ONE, ...unused }),
  WIDTH_PER_GROUP: int(64, 'Channels per group.', { ...AT_LEAST_ONE, ...unused }),
  INPLACE_RELU: bool(true, 'Overwrite the input of a ReLU.', unused),
  STRIDE_1X1: bool(false, 'Put the stride into the 1×1 convolution.', unused),
  ZERO_INIT_FINAL_BN: bool(false, 'Initialise the last scale of a block with zero.', unused),
  DEPTH: int(50, 'Number of layers.', { ...AT_LEAST_ONE, ...unused }),
  NUM_BLOCK_TEMP_KERNEL: list(
    item.list(item.int()),
    [[3], [4], [6], [3]],
    'Blocks with a temporal kernel, for each stage and pathway.',
    perStage,
  ),
  SPATIAL_STRIDES: list(
    item.list(item.int()),
    [[1], [2], [2], [2]],
    'Strides, for each stage and pathway.',
    perStage,
  ),
  SPATIAL_DILATIONS: list(
    item.list(item.int()),
    [[1], [1], [1], [1]],
    'Dilations, for each stage and pathway.',
    perStage,
  ),
  DEFORM_ON_PER_STAGE: list(
    item.bool(),
    [false, false, false, false],
    'Stages with deformable convolutions.',
    perStage,
  ),
});

export const NONLOCAL = section('Non-local blocks of PySlowFast backbones.', {
  LOCATION: list(
    item.list(item.list(item.int())),
    [[[]], [[]], [[]], [[]]],
    'Blocks with a non-local layer, for each stage and pathway.',
    perStage,
  ),
  GROUP: list(item.list(item.int()), [[1], [1], [1], [1]], 'Groups, for each stage and pathway.', perStage),
  INSTANTIATION: text('dot_product', 'Kind of non-local layer.', unused),
  POOL: list(
    item.list(item.list(item.int())),
    Array.from({ length: 4 }, () => [
      [1, 2, 2],
      [1, 2, 2],
    ]),
    'Pooling, for each stage and pathway.',
    perStage,
  ),
});

export const SLOWFAST = section('The two pathways of PySlowFast backbones.', {
  BETA_INV: int(8, 'Channels of the slow pathway for each channel of the fast one.', {
    ...AT_LEAST_ONE,
    ...unused,
  }),
  ALPHA: int(8, 'Frames of the fast pathway for each frame of the slow one.', { ...AT_LEAST_ONE, ...unused }),
  FUSION_CONV_CHANNEL_RATIO: int(
    2,
    'Channels that the fusion adds, as a multiple of those of the fast pathway.',
    { ...AT_LEAST_ONE, ...unused },
  ),
  FUSION_KERNEL_SZ: int(5, 'Kernel size of the fusion.', { ...AT_LEAST_ONE, ...unused }),
});
