/** @file The update of one parameter by Adam, computed by the native library. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { adamUpdate } from '../kernels/adam.js';

export const nativeAdamUpdate = fusedKernel('AdamUpdate', {
  ...adamUpdate.definition,
  lower: (g, { weight, grad, exp_avg, exp_avg_sq, scalars }, { decoupled }) => {
    const operands = [weight, grad, exp_avg, exp_avg_sq, scalars].map(({ name }) => name);
    const result = floats(weight.shape);
    const [w, m, v] = g.native('AdamUpdate', operands, {
      results: [result, result, result],
      ints: [sizeOf(weight.shape), Number(decoupled)],
    });
    return [w, m, v];
  },
});
