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

/** Values of MODEL.BACKBONE.CONV_BODY that can be built. */
export const BACKBONES = ['MAE-ViT-B', 'MAE-ViT-L'] as const;
export type BackboneName = (typeof BACKBONES)[number];

/** Values of ENGINE.PRECISION. */
export const PRECISIONS = ['float32', 'tf32', 'bfloat16'] as const;
export type Precision = (typeof PRECISIONS)[number];
