/** @file Linear layers and their gradients, computed by the native library. */
import { floats } from '../../record/kernel.js';
import type { GraphBuilder, Operand } from '../graph_builder.js';
import { fusedKernel } from '../kernel.js';
import { linear, linearGrad } from '../kernels/linear.js';
import type { Matrix, ProductOptions } from '../kernels/products.js';
import { columnSums } from './column_sums.js';

interface NativeProductOptions extends Pick<ProductOptions, 'transA' | 'transB'> {
  /** Name of a vector [N] that is added to each row. */
  readonly bias?: string;
}

/** Adds a·b + bias for a [M, K] and b [K, N], or their transposes. Returns the name of the result [M, N]. */
function product(
  g: GraphBuilder,
  a: Matrix,
  b: Matrix,
  { transA = false, transB = false, bias = '' }: NativeProductOptions = {},
): string {
  const [M, K] = transA ? [a.shape[1], a.shape[0]] : a.shape;
  const N = b.shape[transB ? 0 : 1];
  const [c] = g.native('Product', bias ? [a.name, b.name, bias] : [a.name, b.name], {
    results: [floats([M, N])],
    ints: [M, N, K, Number(transA), Number(transB)],
  });
  return c;
}

/** Rows from which on packing a weight costs less than the native product saves. */
const MIN_ROWS = 256;

/** Whether the native product is the better one. It does not take empty sums. */
const isWorthwhile = (x: Operand) => x.shape[0] >= MIN_ROWS && x.shape[1] > 0;

export const nativeLinear = fusedKernel('Linear', {
  ...linear.definition,
  lower: (g, inputs, attributes) => {
    const { x, weight, bias } = inputs;
    if (!isWorthwhile(x)) return linear.definition.lower(g, inputs, attributes);
    return [product(g, x, weight, { transB: true, bias: bias?.name })];
  },
});

export const nativeLinearGrad = fusedKernel('LinearGrad', {
  ...linearGrad.definition,
  lower: (g, inputs, attributes) => {
    const { dy, x, weight } = inputs;
    if (!isWorthwhile(x)) return linearGrad.definition.lower(g, inputs, attributes);
    return [product(g, dy, weight), product(g, dy, x, { transA: true }), columnSums(g, dy.name, dy.shape)];
  },
});
