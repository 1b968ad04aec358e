/** @file Linear layers and their gradients, for x [N, in], weight [out, in] and dy [N, out]. */
import { floats } from '../../record/kernel.js';
import { fusedKernel } from '../kernel.js';
import { multiply, multiplyTransposed, taskCount } from './products.js';
import { sumOfRows } from './reduce.js';

export const linear = fusedKernel('Linear', {
  results: ({ x, weight }) => [floats([x.shape[0], weight.shape[0]])],
  lower: (g, { x, weight, bias }) => {
    const [out, inner] = weight.shape;
    if (taskCount(x.shape[0], out, inner) === 1) {
      const operands = bias ? [x.name, weight.name, bias.name] : [x.name, weight.name];
      return [g.op('Gemm', operands, { transB: 1 })];
    }
    const product = multiply(g, x, weight, { transB: true });
    return [bias ? g.op('Add', [product, bias.name]) : product];
  },
});

export const linearGrad = fusedKernel('LinearGrad', {
  results: ({ x, weight }) => [floats(x.shape), floats(weight.shape), floats(weight.shape.slice(0, 1))],
  lower: (g, { dy, x, weight }) => [
    multiply(g, dy, weight),
    multiplyTransposed(g, dy, x),
    sumOfRows(g, dy.name, dy.shape),
  ],
});
