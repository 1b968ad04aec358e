/** @file Updates of the optimizers. */
import { tf } from '../../engine/tfjs.js';
import { Parameter } from '../../nn/module.js';
import { Adam } from '../../solver/adam.js';
import { AdamW } from '../../solver/adamw.js';
import type { Optimizer } from '../../solver/index.js';
import type { OptimizerParams } from '../../solver/param_groups.js';
import { SGD } from '../../solver/sgd.js';
import { type Case, type Family, floats } from '../case.js';

const [LR, DECAY, BETA1, BETA2, EPS, MOMENTUM] = [0.01, 0.1, 0.9, 0.999, 1e-8, 0.9];
const STEPS = 3;

/** The weight after three steps with one gradient, and the optimizer's buffers. */
function update(
  make: (params: OptimizerParams) => Optimizer,
  weight: tf.Tensor,
  grad: tf.Tensor,
): tf.Tensor[] {
  const parameter = new Parameter(weight.shape, () => {});
  parameter.setTensor(weight.clone());
  parameter.grad = tf.keep(grad.clone());
  const optimizer = make([{ name: 'all', params: [{ name: 'weight', parameter }] }]);
  try {
    for (let step = 0; step < STEPS; step++) optimizer.step();
    const buffers = Object.values(optimizer.stateOf(parameter)?.buffers ?? {});
    return [parameter.value, ...buffers].map((tensor) => tensor.clone());
  } finally {
    optimizer.dispose();
    parameter.dispose();
  }
}

/** Applies `step` to each element's weight, gradient and two numbers of state. Returns the weights and the state. */
function steps(
  [weight, grad]: readonly Float64Array[],
  step: (element: { w: number; g: number; m: number; v: number }, t: number) => void,
): Float64Array[] {
  const elements = Array.from(weight, (w, i) => ({ w, g: grad[i], m: 0, v: 0 }));
  for (let t = 1; t <= STEPS; t++) for (const element of elements) step(element, t);
  return (['w', 'm', 'v'] as const).map((key) => Float64Array.from(elements, (element) => element[key]));
}

function adam(decoupled: boolean) {
  return (inputs: readonly Float64Array[]) =>
    steps(inputs, (e, t) => {
      const g = decoupled ? e.g : e.g + DECAY * e.w;
      if (decoupled) e.w *= 1 - LR * DECAY;
      e.m = BETA1 * e.m + (1 - BETA1) * g;
      e.v = BETA2 * e.v + (1 - BETA2) * g * g;
      e.w -= (LR * e.m) / (1 - BETA1 ** t) / (Math.sqrt(e.v / (1 - BETA2 ** t)) + EPS);
    });
}

const SIZES: readonly (readonly number[])[] = [[13, 7], [4099]];

function cases(
  name: string,
  make: (params: OptimizerParams) => Optimizer,
  expected: (inputs: readonly Float64Array[]) => Float64Array[],
): Case[] {
  return SIZES.map((shape) => ({
    name: `${name}, three steps of [${shape}]`,
    // Gradients near zero would divide rounding by rounding.
    inputs: [floats(shape), floats(shape, 0.01, 1)],
    compute: (weight, grad) => update(make, weight, grad),
    expected,
  }));
}

const ADAM = { lr: LR, weightDecay: DECAY, betas: [BETA1, BETA2], eps: EPS } as const;

export const OPTIMIZERS: Family = {
  name: 'optimizer updates',
  tolerance: { norm: 2e-6, largest: 5e-6 },
  reason: 'a few operations on each number',
  cases: [
    ...cases('Adam', (params) => new Adam(params, ADAM), adam(false)),
    ...cases('AdamW', (params) => new AdamW(params, ADAM), adam(true)),
    ...cases(
      'SGD with momentum',
      (params) => new SGD(params, { lr: LR, momentum: MOMENTUM, weightDecay: DECAY }),
      (inputs) =>
        steps(inputs, (e, t) => {
          const g = e.g + DECAY * e.w;
          e.m = t === 1 ? g : MOMENTUM * e.m + g;
          e.w -= LR * e.m;
        }).slice(0, 2),
    ),
  ],
};
