/** @file The lowering of matrix products. */
import { type MatMulAttributes, matMulKernels as recorded } from '../../record/kernels/matmul.js';
import type { GraphBuilder } from '../graph_builder.js';
import { type Lowering, lowered } from '../kernel.js';

/** Transposes the matrices of a batch, the last two axes of `rank`. */
export function transposedMatrices(g: GraphBuilder, x: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const [row, column] = axes.splice(-2);
  return g.op('Transpose', [x], { perm: [...axes, column, row] });
}

const batchMatMul: Lowering = (g, [a, b], { attributes }) => {
  const { transposeA, transposeB } = attributes as MatMulAttributes;
  if (!transposeA && !transposeB) return g.op('MatMul', [a.name, b.name]);
  if (a.dtype === 'float32')
    return g.contrib('FusedMatMul', [a.name, b.name], {
      transA: Number(transposeA),
      transB: Number(transposeB),
    });
  return g.op('MatMul', [
    transposeA ? transposedMatrices(g, a.name, a.shape.length) : a.name,
    transposeB ? transposedMatrices(g, b.name, b.shape.length) : b.name,
  ]);
};

export const matMulKernels = lowered(recorded, { BatchMatMul: batchMatMul });
