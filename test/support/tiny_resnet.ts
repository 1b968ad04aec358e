/** @file Configurations of ResNets that are as small as they get. */
import { type Config, configFromOverrides } from '../../src/config/index.js';
import { tinyConfig } from './tiny_config.js';

const perStage = <T>(value: T) => [value, value, value, value];

/** A SlowOnly of two blocks in each stage. */
export function tinySlowOnly(changes: Readonly<Record<string, unknown>> = {}): Config {
  const small = {
    'MODEL.BACKBONE.CONV_BODY': 'PySlowonly',
    'RESNET.DEPTH': 18,
    'RESNET.WIDTH_PER_GROUP': 4,
    'RESNET.NUM_BLOCK_TEMP_KERNEL': perStage([2]),
  };
  return configFromOverrides({ ...small, ...changes }, tinyConfig());
}

/** A SlowFast of two blocks in each stage and pathway, with a non-local block in s3. */
export function tinySlowFast(changes: Readonly<Record<string, unknown>> = {}): Config {
  const two = perStage([1, 1]);
  return tinySlowOnly({
    'MODEL.BACKBONE.CONV_BODY': 'PySlowfast-R50',
    'MODEL.BACKBONE.PATHWAYS': 2,
    'DATA.INPUT_CHANNEL_NUM': [3, 3],
    'DATA.NUM_FRAMES': 8,
    'SLOWFAST.ALPHA': 4,
    'SLOWFAST.BETA_INV': 2,
    'RESNET.NUM_BLOCK_TEMP_KERNEL': perStage([2, 2]),
    'RESNET.SPATIAL_STRIDES': [
      [1, 1],
      [2, 2],
      [2, 2],
      [2, 2],
    ],
    'RESNET.SPATIAL_DILATIONS': two,
    'NONLOCAL.LOCATION': [
      [[], []],
      [[1], []],
      [[], []],
      [[], []],
    ],
    'NONLOCAL.GROUP': two,
    'NONLOCAL.POOL': perStage(perStage([1, 2, 2]).slice(2)),
    ...changes,
  });
}
