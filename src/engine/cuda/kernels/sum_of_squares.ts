/** @file The sum of the squares of a tensor's elements. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from './fused_kernel.js';

export const sumOfSquares = fusedKernel('SumOfSquares', {
  results: () => [floats([])],
  lower: (b, { x }) => [
    b.reduce(floats([]), { operator: 'sum', count: sizeOf(x.shape) }, (_, k) => {
      const value = b.load(x, k);
      return value.mul(value);
    }),
  ],
});
