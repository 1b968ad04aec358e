/** @file Adam with an L2 penalty as weight decay (Kingma and Ba 2015), PyTorch's formulas. */
import * as tf from '@tensorflow/tfjs';
import { fused } from '../nn/fused.js';
import { Optimizer, type UpdateInput, type UpdateResult } from './optimizer.js';
import type { GroupSettings } from './optimizer_view.js';
import type { OptimizerParams } from './param_groups.js';

/** Settings of a group; their names are PyTorch's. */
export interface AdamSettings extends GroupSettings {
  betas: readonly [number, number];
  eps: number;
}

/** PyTorch's arguments. */
export interface AdamOptions {
  /** Learning rate; default 1e-3. */
  readonly lr?: number;
  /** Coefficients of the moments; default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator; default 1e-8. */
  readonly eps?: number;
  /** Default 0 for Adam, 0.01 for AdamW. */
  readonly weightDecay?: number;
  /** Whether the groups' `lr_scale` is multiplied in at the step; default true. */
  readonly applyLrScale?: boolean;
}

export class Adam extends Optimizer<AdamSettings> {
  constructor(
    params: OptimizerParams,
    { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, applyLrScale }: AdamOptions = {},
  ) {
    super(params, { defaults: { lr, weight_decay: weightDecay, betas, eps }, applyLrScale });
  }

  readonly method: string = 'adam';
  readonly bufferNames = ['exp_avg', 'exp_avg_sq'];
  readonly countsSteps = true;
  /** Weight decay shrinks the weights themselves, apart from the gradient (AdamW). */
  protected readonly decoupled: boolean = false;

  get fixedSettings(): Record<string, boolean | null> {
    return {
      amsgrad: false,
      maximize: false,
      foreach: null,
      capturable: false,
      differentiable: false,
      fused: null,
      decoupled_weight_decay: this.decoupled,
    };
  }

  protected override problemWith(settings: AdamSettings): string | null {
    const { betas, eps } = settings;
    if (betas.length !== 2 || !betas.every((beta) => beta >= 0 && beta < 1)) {
      return `betas [${betas.join(', ')}]: expected two numbers from 0 to below 1 (SOLVER.BETAS)`;
    }
    if (!(eps >= 0)) return `eps ${eps}: expected a number from 0`;
    return super.problemWith(settings);
  }

  protected override initialBuffers(weight: tf.Tensor): Record<string, tf.Tensor> {
    return { exp_avg: tf.zerosLike(weight), exp_avg_sq: tf.zerosLike(weight) };
  }

  protected update(input: UpdateInput<AdamSettings>): UpdateResult {
    const { buffers, step, lr, group } = input;
    const [beta1, beta2] = group.betas;
    // In double precision: in single precision 1 − 0.999^t has three digits left at the first steps.
    const stepSize = lr / (1 - beta1 ** step);
    const correction2Root = Math.sqrt(1 - beta2 ** step);
    const { weight, grad } = input;
    const { exp_avg, exp_avg_sq } = buffers;
    const isDecoupled = this.decoupled;
    const settings = input.vector([
      1 - lr * group.weight_decay,
      group.weight_decay,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / correction2Root,
      group.eps,
      stepSize,
    ]);
    const state = { weight, grad, exp_avg, exp_avg_sq };
    const [w, m, v] = fused('AdamUpdate', { ...state, settings }, { decoupled: isDecoupled }, () => {
      const [decay, l2, b1, rest1, b2, rest2, correction, eps, size] = settings.unstack();
      const shrunk = isDecoupled ? tf.mul(weight, decay) : weight;
      const slope = isDecoupled ? grad : tf.add(grad, tf.mul(weight, l2));
      const average = tf.add(tf.mul(exp_avg, b1), tf.mul(slope, rest1));
      const averageSq = tf.add(tf.mul(exp_avg_sq, b2), tf.mul(tf.square(slope), rest2));
      const deviation = tf.add(tf.mul(tf.sqrt(averageSq), correction), eps);
      return [tf.sub(shrunk, tf.mul(tf.div(average, deviation), size)), average, averageSq];
    });
    return { weight: w, buffers: { exp_avg: m, exp_avg_sq: v } };
  }
}
