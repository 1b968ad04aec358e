/** @file The update of one parameter by Adam or AdamW. */
import { ADAM_SCALARS, nameAdamScalars } from '../../kernel_contract.js';
import { adamResults } from '../../record/kernels/adam.js';
import { fusedKernel } from '../kernel.js';

export const adamUpdate = fusedKernel('AdamUpdate', {
  results: adamResults,
  lower: (g, { weight, grad, exp_avg, exp_avg_sq, scalars }, { decoupled }) => {
    // Views of one element without axes, so that they broadcast to parameters of any rank.
    const elements = g.once(`scalars of ${scalars.name}`, () =>
      g
        .split(
          scalars.name,
          ADAM_SCALARS.map(() => 1),
          0,
        )
        .map((element) => g.reshape(element, [])),
    );
    const s = nameAdamScalars(elements);
    const shrunk = decoupled ? g.op('Mul', [weight.name, s.decay]) : weight.name;
    const slope = decoupled ? grad.name : g.op('Add', [grad.name, g.op('Mul', [weight.name, s.l2])]);
    const average = g.op('Add', [
      g.op('Mul', [exp_avg.name, s.beta1]),
      g.op('Mul', [slope, s.oneMinusBeta1]),
    ]);
    const square = g.op('Mul', [g.op('Mul', [slope, slope]), s.oneMinusBeta2]);
    const averageSq = g.op('Add', [g.op('Mul', [exp_avg_sq.name, s.beta2]), square]);
    const deviation = g.op('Add', [g.op('Sqrt', [averageSq]), s.eps]);
    const change = g.op('Mul', [g.op('Div', [average, deviation]), s.stepSize]);
    return [g.op('Sub', [shrunk, change]), average, averageSq];
  },
});
