/** @file A configuration of a model that is as small as it gets with more than one of everything. */
import { type Config, configFromOverrides } from '../../src/config/index.js';

const TINY = {
  'MODEL.BACKBONE.CONV_BODY': 'MAE-ViT-B',
  'DATA.NUM_FRAMES': 4,
  'ViT.EMBED_DIM': 8,
  'ViT.DEPTH': 2,
  'ViT.NUM_HEADS': 2,
  'ViT.MLP_RATIO': 2,
  'ViT.PRETRAIN_IMG_SIZE': 32,
  'ViT.DROP_PATH_RATE': 0,
  'ViT.USE_CHECKPOINT': false,
  'MODEL.STM.NUM_QUERIES': 5,
  'MODEL.STM.HIDDEN_DIM': 8,
  'MODEL.STM.NUM_STAGES': 2,
  'MODEL.STM.ACTION_CLASSES': 3,
  'MODEL.STM.NUM_HEADS': 2,
  'MODEL.STM.DIM_FEEDFORWARD': 12,
  'MODEL.STM.SPATIAL_POINTS': 3,
  'MODEL.STM.TEMPORAL_POINTS': 2,
  'MODEL.STM.OUT_MULTIPLIER': 2,
  'MODEL.STM.N_GROUPS': 2,
};

/** Two blocks and two stages over 2 time steps; `changes` by full path, e.g. `{ 'ViT.DEPTH': 3 }`. */
export function tinyConfig(changes: Readonly<Record<string, unknown>> = {}): Config {
  return configFromOverrides({ ...TINY, ...changes });
}

/** As small as the sample allows: a step takes well under a second on the slowest engine. */
export const MICRO =
  'MODEL.STM.NUM_QUERIES 6 MODEL.STM.HIDDEN_DIM 16 MODEL.STM.DIM_FEEDFORWARD 16 MODEL.STM.SPATIAL_POINTS 2 ' +
  'MODEL.STM.NUM_HEADS 2 MODEL.STM.N_GROUPS 2 ViT.EMBED_DIM 16 ViT.DEPTH 1 ViT.NUM_HEADS 2 ' +
  'SOLVER.ITER_PER_EPOCH 2 SOLVER.VIDEOS_PER_BATCH 1 DATALOADER.NUM_WORKERS 0';

/** What makes a model with two pathways of the tiny one: 18 layers of few channels, and a non-local block. */
export const TINY_SLOWFAST = {
  'MODEL.BACKBONE.CONV_BODY': 'PySlowfast-R50',
  'MODEL.BACKBONE.PATHWAYS': 2,
  'DATA.INPUT_CHANNEL_NUM': [3, 3],
  'RESNET.DEPTH': 18,
  'RESNET.WIDTH_PER_GROUP': 4,
  'RESNET.NUM_BLOCK_TEMP_KERNEL': [
    [2, 2],
    [2, 2],
    [1, 2],
    [2, 2],
  ],
  'RESNET.SPATIAL_STRIDES': [
    [1, 1],
    [2, 2],
    [2, 2],
    [2, 2],
  ],
  'RESNET.SPATIAL_DILATIONS': [
    [1, 1],
    [1, 1],
    [1, 1],
    [1, 1],
  ],
  'NONLOCAL.LOCATION': [
    [[], []],
    [[1], []],
    [[], []],
    [[], []],
  ],
  'NONLOCAL.GROUP': [
    [1, 1],
    [1, 1],
    [1, 1],
    [1, 1],
  ],
  'SLOWFAST.ALPHA': 2,
  'SLOWFAST.BETA_INV': 2,
  'MODEL.STM.TEMPORAL_POINTS': 2,
};

/** What makes a model with one pathway of the tiny one. */
export const TINY_SLOWONLY = {
  'MODEL.BACKBONE.CONV_BODY': 'PySlowonly',
  'RESNET.DEPTH': 18,
  'RESNET.WIDTH_PER_GROUP': 4,
  'RESNET.NUM_BLOCK_TEMP_KERNEL': [[2], [2], [2], [2]],
  'MODEL.STM.TEMPORAL_POINTS': 4,
};

/** Settings as words of a command line. */
export function words(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}
