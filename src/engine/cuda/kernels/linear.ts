/** @file Linear layers and their gradients, for x [N, in], weight [out, in] and dy [N, out]. */
import { floats } from '../../record/kernel.js';
import type { Builder } from '../ir/builder.js';
import type { View } from '../ir/tensor.js';
import { fusedKernel } from './fused_kernel.js';
import { hasAlgorithm, matmul, type Product, productStep } from './gemm.js';
import type { Policy } from './lowering.js';
import { operandStorage } from './precision.js';

export const linear = fusedKernel('Linear', {
  results: ({ x, weight }) => [floats([x.shape[0], weight.shape[0]])],
  lower: (b, { x, weight, bias }, _, policy) => {
    const storage = operandStorage(policy, multiplyAdds(x, weight));
    const [input, matrix] = [x, weight].map((operand) => b.stored(operand, storage));
    return [matmul(b, policy, { a: input, b: matrix, transposeB: true, bias, storage })];
  },
});

export const linearGrad = fusedKernel('LinearGrad', {
  results: ({ x, weight }) => [floats(x.shape), floats(weight.shape), floats(weight.shape.slice(0, 1))],
  lower: (b, { dy, x, weight }, _, policy) => {
    const storage = operandStorage(policy, multiplyAdds(x, weight));
    const [slope, input, matrix] = [dy, x, weight].map((operand) => b.stored(operand, storage));
    const dx = matmul(b, policy, { a: slope, b: matrix, storage });
    const together = x.shape[0] > 0 ? gradientsTogether(b, slope, input, policy) : null;
    if (together) return [dx, ...together];
    const dweight = matmul(b, policy, { a: slope, b: input, transposeA: true, storage: 'float32' });
    return [dx, dweight, sumOfRows(b, dy)];
  },
});

const multiplyAdds = (x: View, weight: View) => x.shape[0] * weight.shape[0] * weight.shape[1];

/** The gradients of weight and bias in one pass over dy; null if cuBLASLt cannot do that. */
function gradientsTogether(
  b: Builder,
  dy: View,
  x: View,
  policy: Policy,
): [dweight: View, dbias: View] | null {
  const [[N, out], [, inner]] = [dy.shape, x.shape];
  const product: Product = {
    M: out,
    N: inner,
    K: N,
    a: { view: dy, stride: out, isTransposed: true },
    b: { view: x, stride: inner },
    c: { result: 0, stride: inner, storage: 'float32' },
    biasGrad: { result: 1, offset: 0 },
  };
  if (!hasAlgorithm(policy, product)) return null;
  const [dweight, dbias] = b.call([floats([out, inner]), floats([out])], [productStep(policy, product)]);
  return [dweight, dbias];
}

/** The sum of the rows of a matrix [N, C], a vector [C]. */
export function sumOfRows(b: Builder, matrix: View): View {
  const [N, C] = matrix.shape;
  return b.reduce(floats([C]), { operator: 'sum', count: N }, (c, n) => b.load(matrix, n.mul(C).add(c)));
}
