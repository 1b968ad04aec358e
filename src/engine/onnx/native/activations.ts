/** @file GELU and the gradients of GELU and ReLU, computed by the native library. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { gelu, geluGrad, reluGrad } from '../kernels/activations.js';

/** Adds an operator on tensors of one shape. */
function pointwise(g: GraphBuilder, name: string, operands: readonly Operand[]): string {
  const [{ shape }] = operands;
  const names = operands.map((operand) => operand.name);
  return g.native(name, names, { results: [floats(shape)], ints: [sizeOf(shape)] })[0];
}

export const nativeGelu = fusedKernel('Gelu', {
  ...gelu.definition,
  lower: (g, { x }) => [pointwise(g, 'Gelu', [x])],
});

export const nativeGeluGrad = fusedKernel('GeluGrad', {
  ...geluGrad.definition,
  lower: (g, { dy, x }) => [pointwise(g, 'GeluGrad', [dy, x])],
});

export const nativeReluGrad = fusedKernel('ReluGrad', {
  ...reluGrad.definition,
  lower: (g, { dy, y }) => [pointwise(g, 'ReluGrad', [dy, y])],
});
