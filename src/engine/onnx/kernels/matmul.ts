/** @file Matrix products. */
import type { TensorInfo } from '@tensorflow/tfjs';
import { tf } from '../../tfjs.js';
import type { GraphBuilder } from '../graph_builder.js';
import { dtypeOf, type Kernel } from '../kernel.js';

interface Transposes {
  transposeA: boolean;
  transposeB: boolean;
}

/** Transposes the matrices of a batch, the last two axes of `rank`. */
export function transposedMatrices(g: GraphBuilder, x: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const [row, column] = axes.splice(-2);
  return g.op('Transpose', [x], { perm: [...axes, column, row] });
}

export const matMul: Kernel = {
  name: 'BatchMatMul',
  record: ({ a, b }, attrs) => {
    const transposeA = Boolean(attrs.transposeA);
    const transposeB = Boolean(attrs.transposeB);
    const rows = (x: TensorInfo, transposed: boolean) => x.shape[x.shape.length - (transposed ? 1 : 2)];
    const columns = (x: TensorInfo, transposed: boolean) => x.shape[x.shape.length - (transposed ? 2 : 1)];
    if (columns(a, transposeA) !== rows(b, transposeB))
      throw new Error(`matMul of [${a.shape}] and [${b.shape}] with inner sizes that differ`);
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const shape = [...batch, rows(a, transposeA), columns(b, transposeB)];
    return {
      inputs: [a, b],
      attributes: { transposeA, transposeB },
      outputs: [{ shape, dtype: dtypeOf(a) }],
    };
  },
  lower: (g, [a, b], { attributes }) => {
    const { transposeA, transposeB } = attributes as Transposes;
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
  },
};
