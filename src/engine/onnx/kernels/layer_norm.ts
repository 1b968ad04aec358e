/** @file Layer normalisation of rows, and its gradients. */
import { sizeOf } from '../../../formats/host_tensor.js';
import { floats } from '../../record/kernel.js';
import type { GraphBuilder } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { Float } from '../model_format.js';
import { sumOfRows } from './reduce.js';

/** The shape of x as rows of `width`. */
export function rowsOf({ shape }: { shape: readonly number[] }, width: number): number[] {
  return [sizeOf(shape) / width, width];
}

const ones = (g: GraphBuilder, width: number) => g.op('Expand', [g.scalar(1), g.ints([width])]);

export const layerNorm = fusedKernel('LayerNorm', {
  results: ({ x }, { width }) => [floats(rowsOf(x, width), x.shape)],
  lower: (g, { x, weight, bias }, { eps, width }) => {
    const rows = g.view(x.name, rowsOf(x, width));
    const affine = weight && bias ? [weight.name, bias.name] : [ones(g, width)];
    return [g.op('LayerNormalization', [rows, ...affine], { axis: -1, epsilon: new Float(eps) })];
  },
});

export const layerNormGrad = fusedKernel('LayerNormGrad', {
  results: ({ x, weight }, { width }) => {
    const dx = floats(rowsOf(x, width), x.shape);
    return weight ? [dx, floats(weight.shape), floats(weight.shape)] : [dx];
  },
  lower: (g, { dy, x, weight }, { eps, width }) => {
    const shape = rowsOf(x, width);
    const [rows, dyRows] = [g.view(x.name, shape), g.view(dy.name, shape)];
    const attributes = { axis: -1, epsilon: new Float(eps) };
    const [xhat, , deviation] = g.ops('LayerNormalization', [rows, ones(g, width)], 3, attributes);
    const mean = (t: string) => g.op('ReduceMean', [t, g.ints([1])], { keepdims: 1 });
    const dxhat = weight ? g.op('Mul', [dyRows, weight.name]) : dyRows;
    const along = g.op('Mul', [xhat, mean(g.op('Mul', [dxhat, xhat]))]);
    const centred = g.op('Sub', [g.op('Sub', [dxhat, mean(dxhat)]), along]);
    const dx = g.op('Mul', [centred, deviation]);
    if (!weight) return [dx];
    return [dx, sumOfRows(g, g.op('Mul', [dyRows, xhat]), shape), sumOfRows(g, dyRows, shape)];
  },
});
