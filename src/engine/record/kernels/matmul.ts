/** @file Matrix products. */
import type { TensorInfo } from '@tensorflow/tfjs';
import { tf } from '../../tfjs.js';
import { dtypeOf, named, type Recording } from '../kernel.js';

export interface MatMulAttributes {
  transposeA: boolean;
  transposeB: boolean;
}

/** {a, b} → a·b for the matrices of the last two axes; the axes before them are broadcast. */
const batchMatMul: Recording = {
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
};

export const matMulKernels = named({ BatchMatMul: batchMatMul });
