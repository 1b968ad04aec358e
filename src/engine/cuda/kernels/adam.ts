/** @file The update of one parameter by Adam or AdamW. */
import { ADAM_SCALARS, nameAdamScalars } from '../../kernel_contract.js';
import { floats } from '../../record/kernel.js';
import { adamResults } from '../../record/kernels/adam.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { fusedKernel } from './fused_kernel.js';

export const adamUpdate = fusedKernel('AdamUpdate', {
  results: adamResults,
  lower: (b, { weight, grad, exp_avg, exp_avg_sq, scalars }, { decoupled }) => {
    const s = nameAdamScalars(ADAM_SCALARS.map((_, i) => b.load(scalars, b.int(i))));
    const update = (i: Expr) => {
      const at = (view: View) => b.load(view, i);
      const slope = decoupled ? at(grad) : at(grad).add(at(weight).mul(s.l2));
      const average = at(exp_avg).mul(s.beta1).add(slope.mul(s.oneMinusBeta1));
      const averageSq = at(exp_avg_sq).mul(s.beta2).add(slope.mul(slope).mul(s.oneMinusBeta2));
      const change = average.div(averageSq.fn('sqrt').add(s.eps)).mul(s.stepSize);
      const shrunk = decoupled ? at(weight).mul(s.decay) : at(weight);
      return { weight: shrunk.sub(change), average, averageSq };
    };
    const results = (['weight', 'average', 'averageSq'] as const).map((name) =>
      b.map(floats(weight.shape), (i) => update(i)[name]),
    );
    return [results[0], results[1], results[2]];
  },
});
