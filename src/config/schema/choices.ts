/** @file Allowed values of the keys with a fixed choice. */

/** Values of SOLVER.OPTIMIZING_METHOD, in any letter case. */
export const OPTIMIZERS = ['adamw', 'adam', 'sgd'] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

/** Values of SOLVER.SCHEDULER. */
export const SCHEDULERS = ['warmup_multi_step', 'half_period_cosine'] as const;
export type SchedulerName = (typeof SCHEDULERS)[number];

/** Values of SOLVER.WARMUP_METHOD. */
export const WARMUP_METHODS = ['linear', 'constant'] as const;
export type WarmupMethod = (typeof WARMUP_METHODS)[number];

/** Families of backbones. Each has one file in src/model, named in src/model/backbones.ts. */
export type BackboneFamily = 'vit' | 'slowonly' | 'slowfast';

/** The backbones that can be built: values of MODEL.BACKBONE.CONV_BODY, and their families. */
export const BACKBONES = {
  'MAE-ViT-B': 'vit',
  'MAE-ViT-L': 'vit',
  PySlowonly: 'slowonly',
  'PySlowfast-R50': 'slowfast',
  'PySlowfast-R101': 'slowfast',
} as const satisfies Record<string, BackboneFamily>;
export type BackboneName = keyof typeof BACKBONES;
export const BACKBONE_NAMES = Object.keys(BACKBONES) as BackboneName[];

/** Blocks of the four stages of a ResNet by RESNET.DEPTH. */
export const RESNET_BLOCKS: Readonly<Record<18 | 50 | 101, readonly number[]>> = {
  18: [2, 2, 2, 2],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
};

/** Values of ENGINE.PRECISION. */
export const PRECISIONS = ['float32', 'tf32', 'bfloat16'] as const;
export type Precision = (typeof PRECISIONS)[number];
