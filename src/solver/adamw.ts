/** @file AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019), PyTorch's formulas. */
import { Adam, type AdamOptions } from './adam.js';
import type { OptimizerParams } from './param_groups.js';

/** AdamW. Throws ConfigError on settings that PyTorch refuses. */
export class AdamW extends Adam {
  override readonly method = 'adamw';
  protected override readonly decoupled = true;

  constructor(params: OptimizerParams, { weightDecay = 0.01, ...options }: AdamOptions = {}) {
    super(params, { ...options, weightDecay });
  }
}
