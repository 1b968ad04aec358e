/** @file Stochastic gradient descent with momentum, dampening and Nesterov's variant, PyTorch's formulas. */
import { tf } from '../engine/tfjs.js';
import { asNumber } from '../formats/python/dict.js';
import type { PyValue } from '../formats/python/values.js';
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
export interface SgdSettings extends GroupSettings {
  momentum: number;
  dampening: number;
  nesterov: boolean;
}

/** Options of SGD, which are PyTorch's arguments. */
export interface SgdOptions {
  /** Learning rate; default 1e-3. */
  readonly lr?: number;
  /** Default 0: no momentum. */
  readonly momentum?: number;
  /** Fraction of the gradient that does not enter the momentum; default 0. */
  readonly dampening?: number;
  /** Default 0. */
  readonly weightDecay?: number;
  /** Nesterov's form of momentum; default false. */
  readonly nesterov?: boolean;
  /** Whether a step multiplies the learning rates by the groups' `lr_scale`; default true. */
  readonly applyLrScale?: boolean;
}

/** SGD. Throws ConfigError on settings that PyTorch refuses. */
export class SGD extends Optimizer<SgdSettings> {
  constructor(
    params: OptimizerParams,
    {
      lr = 1e-3,
      momentum = 0,
      dampening = 0,
      weightDecay = 0,
      nesterov = false,
      applyLrScale,
    }: SgdOptions = {},
  ) {
    super(params, {
      defaults: { lr, weight_decay: weightDecay, momentum, dampening, nesterov },
      applyLrScale,
    });
  }

  readonly method = 'sgd';
  readonly bufferNames = ['momentum_buffer'];
  readonly countsSteps = false;
  readonly fixedSettings = { maximize: false, foreach: null, differentiable: false, fused: null };

  override keepsState(fileGroup: ReadonlyMap<PyValue, PyValue>): boolean {
    return asNumber(fileGroup.get('momentum'), 'optimizer param_groups, momentum') !== 0;
  }

  protected override problemWith(settings: SgdSettings): string | null {
    const { momentum, dampening, nesterov } = settings;
    if (!(momentum >= 0)) return `momentum ${momentum}: expected a number from 0 (SOLVER.MOMENTUM)`;
    if (nesterov && !(momentum > 0 && dampening === 0)) {
      return (
        'nesterov (SOLVER.NESTEROV) needs SOLVER.MOMENTUM above 0 and SOLVER.DAMPENING 0, ' +
        `found momentum ${momentum} and dampening ${dampening}`
      );
    }
    return super.problemWith(settings);
  }

  protected numbers({ lr, group }: UpdateSettings<SgdSettings>): UpdateNumbers {
    const { weight_decay, momentum, dampening, nesterov } = group;
    return {
      ...(weight_decay !== 0 && { decay: [weight_decay] }),
      ...(momentum !== 0 && { momentum: [momentum], undamped: [1 - dampening] }),
      ...(momentum !== 0 && nesterov && { nesterov: [momentum] }),
      lr: [lr],
    };
  }

  protected update({ weight, grad, buffers, vectors }: UpdateInput): UpdateResult {
    const { decay, momentum, undamped, nesterov, lr } = vectors;
    let direction = decay ? tf.add(grad, tf.mul(weight, decay.asScalar())) : grad;
    const next: Record<string, tf.Tensor> = {};
    if (momentum) {
      // As in PyTorch, the first velocity is the gradient itself, without dampening.
      const velocity = buffers.momentum_buffer
        ? tf.add(tf.mul(buffers.momentum_buffer, momentum.asScalar()), tf.mul(direction, undamped.asScalar()))
        : tf.clone(direction);
      next.momentum_buffer = velocity;
      direction = nesterov ? tf.add(direction, tf.mul(velocity, nesterov.asScalar())) : velocity;
    }
    return { weight: tf.sub(weight, tf.mul(direction, lr.asScalar())), buffers: next };
  }
}
