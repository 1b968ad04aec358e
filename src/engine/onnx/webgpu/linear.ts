/** @file Linear layers and their gradients on a GPU, for x [N, in], weight [out, in] and dy [N, out]. */
import { floats, fusedKernel } from '../kernel.js';
import { sumOfRows } from '../kernels/reduce.js';

export const linear = fusedKernel('Linear', {
  results: ({ x, weight }) => [floats([x.shape[0], weight.shape[0]])],
  lower: (g, { x, weight, bias }) => {
    const operands = bias ? [x.name, weight.name, bias.name] : [x.name, weight.name];
    return [g.op('Gemm', operands, { transB: 1 })];
  },
});

export const linearGrad = fusedKernel('LinearGrad', {
  results: ({ x, weight }) => [floats(x.shape), floats(weight.shape), floats(weight.shape.slice(0, 1))],
  lower: (g, { dy, x, weight }) => [
    g.op('MatMul', [dy.name, weight.name]),
    g.op('Gemm', [dy.name, x.name], { transA: 1 }),
    sumOfRows(g, dy.name, dy.shape),
  ],
});
