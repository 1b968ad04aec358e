/** @file Adam with an L2 penalty as weight decay (Kingma and Ba 2015), PyTorch's formulas. */
import * as tf from '@tensorflow/tfjs';
import { type GroupSettings, Optimizer, type UpdateInput, type UpdateResult } from './optimizer.js';

export interface AdamSettings extends GroupSettings {
  betas: readonly [number, number];
  eps: number;
}

/** PyTorch's default `eps`, which no configuration key changes. */
export const ADAM_EPS = 1e-8;

export class Adam extends Optimizer<AdamSettings> {
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

  protected update(input: UpdateInput<AdamSettings>): UpdateResult {
    const { buffers, step, rate, group, scalar } = input;
    const [beta1, beta2] = group.betas;
    // In double precision: in single precision 1 − 0.999^t has three digits left at the first steps.
    const stepSize = rate / (1 - beta1 ** step);
    const correction2Root = Math.sqrt(1 - beta2 ** step);
    let { weight, grad } = input;
    if (group.weight_decay !== 0) {
      if (this.decoupled) weight = tf.mul(weight, scalar(1 - rate * group.weight_decay));
      else grad = tf.add(grad, tf.mul(weight, scalar(group.weight_decay)));
    }
    // Zeros are data like any other state, so that the first step is no other graph than the rest.
    const before = buffers.exp_avg ?? tf.zeros(weight.shape);
    const beforeSq = buffers.exp_avg_sq ?? tf.zeros(weight.shape);
    const exp_avg = tf.add(tf.mul(before, scalar(beta1)), tf.mul(grad, scalar(1 - beta1)));
    const exp_avg_sq = tf.add(tf.mul(beforeSq, scalar(beta2)), tf.mul(tf.square(grad), scalar(1 - beta2)));
    const deviation = tf.add(tf.div(tf.sqrt(exp_avg_sq), scalar(correction2Root)), scalar(group.eps));
    return {
      weight: tf.sub(weight, tf.mul(tf.div(exp_avg, deviation), scalar(stepSize))),
      buffers: { exp_avg, exp_avg_sq },
    };
  }
}
