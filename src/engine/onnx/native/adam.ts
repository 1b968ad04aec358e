/** @file The update of one parameter by Adam, computed by the native library. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats, lowered } from '../kernel.js';
import { adamUpdate } from '../kernels/adam.js';

export const nativeAdamUpdate = lowered(
  adamUpdate,
  (g, { weight, grad, exp_avg, exp_avg_sq, scalars }, { decoupled }) => {
    const results = [floats(weight.shape), floats(weight.shape), floats(weight.shape)];
    const operands = [weight, grad, exp_avg, exp_avg_sq, scalars].map(({ name }) => name);
    const [w, m, v] = g.native('AdamUpdate', operands, {
      results,
      ints: [sizeOf(weight.shape), Number(decoupled)],
    });
    return [w, m, v];
  },
);
