/** @file Matrix products of tfjs. */
import { sizeOf } from '../../../formats/host_tensor.js';
import type { Builder } from '../ir/builder.js';
import { broadcastElement } from '../ir/coordinates.js';
import type { View } from '../ir/tensor.js';
import { matmul } from './gemm.js';
import type { Lowering } from './lowering.js';
import { operandStorage } from './precision.js';

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The product of matrices of floats or integers in the last two axes. The other axes are broadcast. The result is stored in full. */
export const batchMatMul: Lowering = (b, [a, other], { attributes, outputs: [{ shape, dtype }] }, policy) => {
  const { transposeA, transposeB } = attributes as Transposes;
  if (dtype !== 'float32') return integerProduct(b, a, other, { transposeA, transposeB, shape });
  const K = a.shape.at(transposeA ? -2 : -1) as number;
  const storage = operandStorage(policy, sizeOf(shape) * K);
  const batch = shape.slice(0, -2);
  let [left, right] = [a, other].map((view) => b.stored(matricesOf(b, view, batch), storage));
  // The matrices of a batch that meet one other matrix are one matrix with more rows.
  if (!transposeA && right.shape[0] === 1) {
    left = b.reshape(left, [1, left.shape[0] * left.shape[1], left.shape[2]]);
  }
  const product = matmul(b, policy, { a: left, b: right, transposeA, transposeB, storage: 'float32' });
  return b.reshape(product, shape);
};

/** An operand as matrices [count, rows, columns], one for all or one for each of the batch. */
function matricesOf(b: Builder, view: View, batch: readonly number[]): View {
  const matrix = view.shape.slice(-2);
  const own = view.shape.slice(0, -2);
  const count = sizeOf(own);
  if (count === 1 || count === sizeOf(batch)) return b.reshape(view, [count, ...matrix]);
  const size = sizeOf(matrix);
  const copies = b.map({ shape: [sizeOf(batch), ...matrix], dtype: 'float32' }, (i) => {
    const item = broadcastElement(i.div(size), batch, own);
    return b.load(view, item.mul(size).add(i.mod(size)));
  });
  return copies;
}

function integerProduct(
  b: Builder,
  left: View,
  right: View,
  { transposeA, transposeB, shape }: Transposes & { readonly shape: readonly number[] },
): View {
  const [M, N] = shape.slice(-2);
  const K = left.shape.at(transposeA ? -2 : -1) as number;
  const batch = shape.slice(0, -2);
  return b.reduce({ shape, dtype: 'int32' }, { operator: 'sum', count: K }, (o, k) => {
    const [item, m, n] = [o.div(M * N), o.div(N).mod(M), o.mod(N)];
    const first = ({ shape: own }: View) => broadcastElement(item, batch, own.slice(0, -2)).mul(K);
    const placeInA = transposeA ? k.mul(M).add(m) : m.mul(K).add(k);
    const placeInB = transposeB ? n.mul(K).add(k) : k.mul(N).add(n);
    return b
      .load(left, first(left).mul(M).add(placeInA))
      .mul(b.load(right, first(right).mul(N).add(placeInB)));
  });
}
