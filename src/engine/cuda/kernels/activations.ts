/** @file GELU and the gradients of GELU and ReLU. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import type { Expr } from '../ir/expr.js';
import type { View } from '../ir/tensor.js';
import { fusedKernel } from './fused_kernel.js';
import { storageLike } from './lowering.js';

/** Applies `body` to the elements of tensors of one shape. */
function elementwise(b: Builder, operands: readonly View[], body: (...values: Expr[]) => Expr): View {
  const [{ shape }] = operands;
  const info = { ...floats(shape), storage: storageLike(operands, sizeOf(shape)) };
  return b.map(info, (i) => body(...operands.map((operand) => b.load(operand, i))));
}

/** The distribution function of the normal distribution. */
const phi = (x: Expr) => x.mul(Math.SQRT1_2).fn('erf').add(1).mul(0.5);

export const gelu = fusedKernel('Gelu', {
  results: ({ x }) => [floats(x.shape)],
  lower: (b, { x }) => [elementwise(b, [x], (value) => value.mul(phi(value)))],
});

/** dy·(Φ(x) + x·φ(x)). */
export const geluGrad = fusedKernel('GeluGrad', {
  results: ({ x }) => [floats(x.shape)],
  lower: (b, { dy, x }) => [
    elementwise(b, [dy, x], (slope, value) => {
      const density = value
        .mul(value)
        .mul(-0.5)
        .fn('exp')
        .mul(1 / Math.sqrt(2 * Math.PI));
      return slope.mul(phi(value).add(value.mul(density)));
    }),
  ],
});

export const reluGrad = fusedKernel('ReluGrad', {
  results: ({ y }) => [floats(y.shape)],
  lower: (b, { dy, y }) => [elementwise(b, [dy, y], (slope, value) => value.gt(0).select(slope, 0))],
});
