/** @file Schema of MODEL and ViT: the backbone, the decoder, and the weights of the losses. */
import { Type } from '@sinclair/typebox';
import { BACKBONE_NAMES } from './choices.js';
import {
  AT_LEAST_ONE,
  bool,
  float,
  int,
  item,
  list,
  NOT_NEGATIVE,
  POSITIVE,
  RATE,
  section,
  text,
  UNIT_INTERVAL,
  word,
} from './fields.js';
import { MODEL_NONLOCAL, NOT_READ } from './resnet.js';

/** Backbones that the official code lists and cannot build: they read settings that it does not have. */
const OTHER_BACKBONES = [
  'Slowfast-Resnet50',
  'Slowfast-Resnet101',
  'I3D-Resnet50',
  'I3D-Resnet101',
  'I3D-Resnet50-Sparse',
  'I3D-Resnet101-Sparse',
] as const;

const unused = { noEffect: NOT_READ };

const nonlocal = (conv3: boolean, conv4: boolean) => ({
  CONV3_NONLOCAL: bool(conv3, 'Non-local blocks in stage 3.', unused),
  CONV4_NONLOCAL: bool(conv4, 'Non-local blocks in stage 4.', unused),
  CONV3_GROUP_NL: bool(false, 'Group the non-local blocks of stage 3.', unused),
});

const BACKBONE = section('Choice of the backbone.', {
  CONV_BODY: word(
    [...BACKBONE_NAMES, ...OTHER_BACKBONES],
    'Slowfast-Resnet50',
    'Name of the backbone. The default cannot be built, so every file must set this key. The sizes come from the keys under ViT ' +
      'or RESNET, not from the name.',
    { usable: BACKBONE_NAMES },
  ),
  PATHWAYS: int(1, 'Pathways of the backbone. SlowFast has 2, all others 1.', { minimum: 1, maximum: 2 }),
  FROZEN_BN: bool(
    false,
    'Normalise with the running statistics in training, too, instead of those of the batch. Weights and biases of the norms are ' +
      'trained all the same.',
  ),
  BN_MOMENTUM: float(0.1, 'Momentum of batch normalisation.', { ...UNIT_INTERVAL, ...unused }),
  BN_EPSILON: float(1e-5, 'Epsilon of batch normalisation.', { ...POSITIVE, ...unused }),
  BN_INIT_GAMMA: float(0, 'Initial value of the last scale in a residual block.', unused),
  I3D: section('I3D backbones.', nonlocal(true, true)),
  SLOWFAST: section('SlowFast backbones.', {
    BETA: float(1 / 8, 'Channels of the fast pathway, as a fraction of those of the slow one.', {
      ...POSITIVE,
      ...unused,
    }),
    LATERAL: text('tconv', 'Connection between the pathways.', unused),
    SLOW: section('Slow pathway.', {
      ACTIVE: bool(true, 'Build the slow pathway.', unused),
      ...nonlocal(true, true),
    }),
    FAST: section('Fast pathway.', {
      ACTIVE: bool(true, 'Build the fast pathway.', unused),
      ...nonlocal(false, false),
    }),
  }),
});

const STM = section('The STMixer decoder, its losses and its output.', {
  NUM_QUERIES: int(
    100,
    'Number of queries, and so the maximum number of people found in a clip.',
    AT_LEAST_ONE,
  ),
  HIDDEN_DIM: int(
    256,
    'Channels of queries and mapped features. A multiple of 8, NUM_HEADS and N_GROUPS.',
    AT_LEAST_ONE,
  ),
  NUM_STAGES: int(6, 'Number of decoder stages.', AT_LEAST_ONE),
  ACTION_CLASSES: int(80, 'Number of action classes. Labels are 1 to this number.', AT_LEAST_ONE),
  OBJECT_CLASSES: int(
    1,
    'Object classes without the background. The first one is the person; the data has no other.',
    AT_LEAST_ONE,
  ),
  NUM_HEADS: int(8, 'Heads of the attention between queries.', AT_LEAST_ONE),
  DROPOUT: float(0, 'Dropout of the attention weights between queries.', RATE),
  DIM_FEEDFORWARD: int(2048, 'Hidden channels of the feed-forward layers.', AT_LEAST_ONE),
  NUM_FCS: int(2, 'Linear layers of a feed-forward network.', { minimum: 2 }),
  ACTIVATION: word(['ReLU'], 'ReLU', 'Activation of feed-forward networks and heads, in any letter case.', {
    anyCase: true,
  }),
  SPATIAL_POINTS: int(32, 'Points sampled for each query and group.', AT_LEAST_ONE),
  TEMPORAL_POINTS: int(
    4,
    'Time steps of the feature maps: NUM_FRAMES / TUBELET_SIZE for a ViT, NUM_FRAMES for SlowOnly, NUM_FRAMES / ALPHA for ' +
      'SlowFast. This is the value if the key is left out.',
    AT_LEAST_ONE,
  ),
  OUT_MULTIPLIER: int(4, 'Points after mixing for each sampled point.', AT_LEAST_ONE),
  N_GROUPS: int(4, 'Channel groups in sampling and mixing.', AT_LEAST_ONE),
  NUM_CLS: int(1, 'Hidden layers of the person head.', NOT_NEGATIVE),
  NUM_ACT: int(1, 'Hidden layers of the action head.', NOT_NEGATIVE),
  NUM_REG: int(1, 'Hidden layers of the box head.', NOT_NEGATIVE),
  OBJECT_WEIGHT: float(2, 'Weight of the person classification, in loss and matching.', NOT_NEGATIVE),
  ACTION_WEIGHT: float(24, 'Weight of the action classification loss.', NOT_NEGATIVE),
  GIOU_WEIGHT: float(2, 'Weight of the generalised IoU, in loss and matching.', NOT_NEGATIVE),
  L1_WEIGHT: float(2, 'Weight of the L1 distance of boxes, in loss and matching.', NOT_NEGATIVE),
  BACKGROUND_WEIGHT: float(0.1, 'Weight of the background class in the person classification.', POSITIVE),
  INTERMEDIATE_SUPERVISION: bool(
    true,
    'Compute the loss on every stage. False computes it on the last stage only.',
  ),
  PERSON_THRESHOLD: float(0.6, 'Minimum person score for a query to count in evaluation.', UNIT_INTERVAL),
  MEM_ACTIVE: bool(false, 'Use long-term memory. Only False is supported.'),
});

export const MODEL = section('The model.', {
  WEIGHT: text(
    '',
    'Weight file to start from, or the folder of a run. If empty, a run starts from the newest checkpoint in OUTPUT_DIR, or from random weights.',
  ),
  WEIGHT_KEY: text(
    '',
    'Which weights to take from MODEL.WEIGHT if the file holds several, e.g. teacher or model.ema: the keys that lead to them, joined by dots (not in the official code).',
  ),
  BACKBONE,
  NONLOCAL: MODEL_NONLOCAL,
  STM,
});

export const ViT = section('The vision transformer and its optimizer options.', {
  TUBELET_SIZE: int(2, 'Frames in one token.', AT_LEAST_ONE),
  PATCH_SIZE: int(16, 'Side of a patch, in pixels. The feature maps need 16.', AT_LEAST_ONE),
  IN_CHANS: int(3, 'Colour channels of the frames.', AT_LEAST_ONE),
  EMBED_DIM: int(
    768,
    'Channels of a token. A multiple of 4 and of NUM_HEADS. ViT-B 768, ViT-L 1024.',
    AT_LEAST_ONE,
  ),
  PRETRAIN_IMG_SIZE: int(
    224,
    'Side of the images in pre-training, in pixels. The position table is made for this size and interpolated.',
    AT_LEAST_ONE,
  ),
  USE_LEARNABLE_POS_EMB: bool(false, 'Train the position table instead of using fixed sines.'),
  DROP_RATE: float(0, 'Dropout after the position table and in the blocks.', RATE),
  ATTN_DROP_RATE: float(0, 'Dropout of the attention weights.', RATE),
  DROP_PATH_RATE: float(
    0.2,
    'Probability of skipping the last block in training (drop path). It rises linearly from 0 at the first block.',
    RATE,
  ),
  DEPTH: int(12, 'Number of blocks. ViT-B 12, ViT-L 24.', AT_LEAST_ONE),
  NUM_HEADS: int(12, 'Attention heads. ViT-B 12, ViT-L 16.', AT_LEAST_ONE),
  MLP_RATIO: int(4, 'Hidden channels of a block, as a multiple of EMBED_DIM.', AT_LEAST_ONE),
  QKV_BIAS: bool(true, 'Use biases on queries and values. Keys have none.'),
  QK_SCALE: Type.Union([Type.Number(POSITIVE), Type.Null()], {
    default: null,
    description: 'Factor on the queries. None is one over the square root of the channels of a head.',
  }),
  INIT_VALUES: float(
    0,
    'Initial value of a learned scale on each branch of a block. 0 means no such scale.',
    NOT_NEGATIVE,
  ),
  USE_CHECKPOINT: bool(
    true,
    'Activation checkpointing: compute the blocks again in the backward pass. Needs less memory and more time.',
  ),
  LAYER_DECAY: float(
    0.75,
    'Factor on the learning rate from each block to the one before. 1 or more means no layer decay.',
    POSITIVE,
  ),
  WEIGHT_DECAY: float(0.05, 'Weight decay of the backbone. Biases and norms have none.', NOT_NEGATIVE),
  NO_WEIGHT_DECAY: list(item.text(), ['pos_embed'], 'More parameters of the backbone without weight decay.'),
});
