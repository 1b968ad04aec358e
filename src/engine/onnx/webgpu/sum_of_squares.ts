/** @file The sum of the squares of a tensor's elements on a GPU. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';

export const sumOfSquares = fusedKernel('SumOfSquares', {
  results: () => [floats([])],
  lower: (g, { x }) => {
    // A sum of everything at once would be one work group's, so each row of a weight comes first.
    const [rows] = x.shape.length > 1 ? x.shape : [1];
    const matrix = g.reshape(x.name, [rows, sizeOf(x.shape) / rows]);
    const ofRows = g.op('ReduceSumSquare', [matrix, g.ints([1])], { keepdims: 0 });
    return [g.op('ReduceSum', [ofRows, g.ints([0])], { keepdims: 0 })];
  },
});
