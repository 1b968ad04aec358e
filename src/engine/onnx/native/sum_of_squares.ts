/** @file Sums of squares, which only the native library computes as one operation. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';

export const nativeSumOfSquares = fusedKernel('SumOfSquares', {
  results: () => [floats([])],
  lower: (g, { x }) => {
    const [sum] = g.native('SumOfSquares', [x.name], { results: [floats([])], ints: [sizeOf(x.shape)] });
    return [sum];
  },
});
