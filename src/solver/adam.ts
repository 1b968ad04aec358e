/** @file Adam with an L2 penalty as weight decay (Kingma and Ba 2015), PyTorch's formulas. */
import { ADAM_SCALARS, type AdamScalars, nameAdamScalars } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { fused } from '../nn/fused.js';
import {
  Optimizer,
  type UpdateInput,
  type UpdateNumbers,
  type UpdateResult,
  type UpdateSettings,
} from './optimizer.js';
import type { GroupSettings } from './optimizer_view.js';
import type { OptimizerParams } from './param_groups.js';

/** Settings of a group; their names are PyTorch's. */
export interface AdamSettings extends GroupSettings {
  betas: readonly [number, number];
  eps: number;
}

/** Options of Adam and AdamW, which are PyTorch's arguments. */
export interface AdamOptions {
  /** Learning rate; default 1e-3. */
  readonly lr?: number;
  /** Coefficients of the moments; default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator; default 1e-8. */
  readonly eps?: number;
  /** Default 0 for Adam, 0.01 for AdamW. */
  readonly weightDecay?: number;
  /** Whether a step multiplies the learning rates by the groups' `lr_scale`; default true. */
  readonly applyLrScale?: boolean;
}

/** Adam. Throws ConfigError on settings that PyTorch refuses. */
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
  /** Whether weight decay shrinks the weights directly, apart from the gradient (AdamW). */
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

  protected numbers({ step, lr, group }: UpdateSettings<AdamSettings>): UpdateNumbers {
    const [beta1, beta2] = group.betas;
    // In single precision, 1 − 0.999^t would have only three digits at the first steps.
    const correction2Root = Math.sqrt(1 - beta2 ** step);
    const stepSize = (lr * correction2Root) / (1 - beta1 ** step);
    const numbers: AdamScalars<number> = {
      decay: 1 - lr * group.weight_decay,
      l2: group.weight_decay,
      beta1,
      oneMinusBeta1: 1 - beta1,
      beta2,
      oneMinusBeta2: 1 - beta2,
      eps: group.eps * correction2Root,
      stepSize,
    };
    return { scalars: ADAM_SCALARS.map((name) => numbers[name]) };
  }

  protected update({ weight, grad, buffers, vectors }: UpdateInput): UpdateResult {
    const { exp_avg, exp_avg_sq } = buffers;
    const { scalars } = vectors;
    const isDecoupled = this.decoupled;
    const inputs = { weight, grad, exp_avg, exp_avg_sq, scalars };
    const [w, m, v] = fused('AdamUpdate', inputs, { decoupled: isDecoupled }, () => {
      const s = nameAdamScalars(scalars.unstack());
      const shrunk = isDecoupled ? tf.mul(weight, s.decay) : weight;
      const slope = isDecoupled ? grad : tf.add(grad, tf.mul(weight, s.l2));
      const average = tf.add(tf.mul(exp_avg, s.beta1), tf.mul(slope, s.oneMinusBeta1));
      const averageSq = tf.add(tf.mul(exp_avg_sq, s.beta2), tf.mul(tf.square(slope), s.oneMinusBeta2));
      const deviation = tf.add(tf.sqrt(averageSq), s.eps);
      return [tf.sub(shrunk, tf.mul(tf.div(average, deviation), s.stepSize)), average, averageSq];
    });
    return { weight: w, buffers: { exp_avg: m, exp_avg_sq: v } };
  }
}
