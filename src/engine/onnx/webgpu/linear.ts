/** @file Linear layers and their gradients on a GPU, for x [N, in], weight [out, in] and dy [N, out]. */
import { fusedKernel } from '../kernel.js';
import { linearGrad as linearGradOnCpu, linear as linearOnCpu } from '../kernels/linear.js';
import { sumOfRows } from '../kernels/reduce.js';

export const linear = fusedKernel('Linear', {
  ...linearOnCpu.definition,
  lower: (g, { x, weight, bias }) => {
    const operands = bias ? [x.name, weight.name, bias.name] : [x.name, weight.name];
    return [g.op('Gemm', operands, { transB: 1 })];
  },
});

export const linearGrad = fusedKernel('LinearGrad', {
  ...linearGradOnCpu.definition,
  lower: (g, { dy, x, weight }) => [
    g.op('MatMul', [dy.name, weight.name]),
    g.op('Gemm', [dy.name, x.name], { transA: 1 }),
    sumOfRows(g, dy.name, dy.shape),
  ],
});
