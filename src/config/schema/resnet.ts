/** @file Schema of the keys of ResNet backbones. */
import { Type } from '@sinclair/typebox';
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
  UNIT_INTERVAL,
  word,
} from './fields.js';

export const NOT_READ = 'the official code does not read it for the backbones that it can build';

const unused = { noEffect: NOT_READ };
const perStage = { minItems: 4, maxItems: 4 };

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
  TRANS_FUNC: word(
    ['bottleneck_transform', 'basic_transform'],
    'bottleneck_transform',
    'Convolutions of a residual block: T×1×1, 1×3×3 and 1×1×1, or T×3×3 and 1×3×3.',
  ),
  NUM_GROUPS: int(1, 'Groups of the 1×3×3 convolutions in bottlenecks.', AT_LEAST_ONE),
  WIDTH_PER_GROUP: int(64, 'Channels of the stem, and of each group in the first stage.', AT_LEAST_ONE),
  INPLACE_RELU: bool(true, 'Overwrite the input of a ReLU.', { noEffect: 'it does not change the results' }),
  STRIDE_1X1: bool(
    false,
    'Put the stride of a bottleneck into its first convolution. SlowFast does not read it.',
  ),
  ZERO_INIT_FINAL_BN: bool(false, 'Initialise the last scale of a block with zero.', unused),
  DEPTH: Type.Unsafe<18 | 50 | 101>({
    type: 'integer',
    enum: [18, 50, 101],
    default: 50,
    description:
      'Number of layers, which sets the blocks of the four stages: 2, 2, 2, 2 or 3, 4, 6, 3 or 3, 4, 23, 3.',
  }),
  NUM_BLOCK_TEMP_KERNEL: list(
    item.list(item.int(NOT_NEGATIVE)),
    [[3], [4], [6], [3]],
    'Number of blocks with a temporal kernel, from the first one, for each stage and pathway.',
    perStage,
  ),
  SPATIAL_STRIDES: list(
    item.list(item.int(AT_LEAST_ONE)),
    [[1], [2], [2], [2]],
    'Strides of height and width, for each stage and pathway.',
    perStage,
  ),
  SPATIAL_DILATIONS: list(
    item.list(item.int(AT_LEAST_ONE)),
    [[1], [1], [1], [1]],
    'Dilations of the 1×3×3 convolutions, for each stage and pathway.',
    perStage,
  ),
  DEFORM_ON_PER_STAGE: list(
    item.bool(),
    [false, false, false, false],
    'Stages with deformable convolutions.',
    { ...perStage, ...unused },
  ),
});

export const NONLOCAL = section('Non-local blocks of PySlowFast backbones.', {
  LOCATION: list(
    item.list(item.list(item.int(NOT_NEGATIVE))),
    [[[]], [[]], [[]], [[]]],
    'Residual blocks, from 0, that a non-local block follows, for each stage and pathway.',
    perStage,
  ),
  GROUP: list(
    item.list(item.int(AT_LEAST_ONE)),
    [[1], [1], [1], [1]],
    'Number of runs of frames, each with an attention of its own, for each stage and pathway.',
    perStage,
  ),
  INSTANTIATION: word(
    ['dot_product', 'softmax'],
    'dot_product',
    'How a non-local block turns scores into weights: divided by their number, or by softmax.',
  ),
  POOL: list(
    item.list(item.list(item.int())),
    Array.from({ length: 4 }, () => [
      [1, 2, 2],
      [1, 2, 2],
    ]),
    'Pooling of keys and values along frames, rows and columns, for each stage and pathway.',
    perStage,
  ),
});

export const SLOWFAST = section('The two pathways of SlowFast.', {
  BETA_INV: int(8, 'Channels of the slow pathway for each channel of the fast one.', AT_LEAST_ONE),
  ALPHA: int(8, 'Frames of the fast pathway for each frame of the slow one.', AT_LEAST_ONE),
  FUSION_CONV_CHANNEL_RATIO: int(
    2,
    'Channels that the slow pathway gets from the fast one, as a multiple of those of the fast one.',
    AT_LEAST_ONE,
  ),
  FUSION_KERNEL_SZ: int(5, 'Frames of the kernel of that connection. Must be odd.', AT_LEAST_ONE),
});
