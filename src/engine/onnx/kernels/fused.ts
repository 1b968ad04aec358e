/**
 * @file Kernels of our own under the differentiable functions of nn/ and the optimizers: what ONNX has as one operator, or
 * what is faster when a whole formula is known. Shapes: N rows, C features, S heads, M keys.
 */
import { util } from '@tensorflow/tfjs';
import { sizeOf } from '../../../formats/host_tensor.js';
import { SERIAL_LANE } from '../compiler.js';
import type { GraphBuilder } from '../graph_builder.js';
import type { Kernel } from '../kernel.js';
import { Float } from '../model_format.js';

const onesRow = (g: GraphBuilder, count: number) => g.op('Expand', [g.scalar(1), g.ints([1, count])]);

/** Sum over the rows of [N, C] as a product with ones, which is three times as fast as ReduceSum. Returns [C]. */
function sumOfRows(g: GraphBuilder, x: string, [N, C]: readonly number[]): string {
  return g.reshape(g.op('MatMul', [onesRow(g, N), x]), [C]);
}

/** x·Φ(x). */
const gelu: Kernel = {
  name: 'Gelu',
  record: ({ x }) => ({ inputs: [x], outputs: [{ shape: x.shape, dtype: 'float32' }] }),
  lower: (g, [x]) => g.op('Gelu', [x.name]),
};

/** dy·(Φ(x) + x·φ(x)). */
const geluGrad: Kernel = {
  name: 'GeluGrad',
  record: ({ dy, x }) => ({ inputs: [dy, x], outputs: [{ shape: x.shape, dtype: 'float32' }] }),
  lower: (g, [dy, x]) => {
    const u = g.op('Mul', [x.name, g.scalar(Math.SQRT1_2)]);
    const twicePhi = g.op('Add', [g.op('Erf', [u]), g.scalar(1)]);
    const density = g.op('Exp', [g.op('Neg', [g.op('Mul', [u, u])])]);
    // x·φ(x)·2 = u·e^(−u²)·2/√π
    const slope = g.op('Mul', [g.op('Mul', [u, density]), g.scalar(2 / Math.sqrt(Math.PI))]);
    const twice = g.op('Add', [twicePhi, slope]);
    return g.op('Mul', [g.op('Mul', [dy.name, g.scalar(0.5)]), twice]);
  },
};

/** The shape of x as rows of `width`. */
function rowsOf({ shape }: { shape: readonly number[] }, width: number): number[] {
  return [sizeOf(shape) / width, width];
}

/** dy where y = max(x, 0) is positive. */
const reluGrad: Kernel = {
  name: 'ReluGrad',
  record: ({ dy, y }) => ({ inputs: [dy, y], outputs: [{ shape: y.shape, dtype: 'float32' }] }),
  lower: (g, [dy, y]) => {
    const zero = g.scalar(0);
    return g.op('Where', [g.op('Greater', [y.name, zero]), dy.name, zero]);
  },
};

interface NormAttributes {
  eps: number;
  width: number;
}

/** Normalises rows of `width`; weight and bias over the last axis are optional. {x, weight?, bias?} → y. */
const layerNorm: Kernel = {
  name: 'LayerNorm',
  record: ({ x, weight, bias }, { eps, width }) => ({
    inputs: weight ? [x, weight, bias] : [x],
    attributes: { eps, width },
    outputs: [{ shape: rowsOf(x, width as number), view: x.shape, dtype: 'float32' }],
  }),
  lower: (g, [x, weight, bias], { attributes }) => {
    const { eps, width } = attributes as NormAttributes;
    const rows = g.view(x.name, rowsOf(x, width));
    const ones = () => g.op('Expand', [g.scalar(1), g.ints([width])]);
    const operands = weight ? [rows, weight.name, bias.name] : [rows, ones()];
    return g.op('LayerNormalization', operands, { axis: -1, epsilon: new Float(eps) });
  },
};

/** {dy, x, weight?} → dx and, with a weight, dweight and dbias. */
const layerNormGrad: Kernel = {
  name: 'LayerNormGrad',
  record: ({ dy, x, weight }, { eps, width }) => {
    return {
      inputs: weight ? [dy, x, weight] : [dy, x],
      attributes: { eps, width },
      outputs: [
        { shape: rowsOf(x, width as number), view: x.shape, dtype: 'float32' },
        ...(weight ? [weight, weight] : []).map(({ shape }) => ({ shape, dtype: 'float32' as const })),
      ],
    };
  },
  lower: (g, [dy, x, weight], { attributes }) => {
    const { eps, width } = attributes as NormAttributes;
    const shape = rowsOf(x, width);
    const [rows, dyRows] = [g.view(x.name, shape), g.view(dy.name, shape)];
    const ones = g.op('Expand', [g.scalar(1), g.ints([width])]);
    const [xhat, , deviation] = g.ops('LayerNormalization', [rows, ones], 3, {
      axis: -1,
      epsilon: new Float(eps),
    });
    const mean = (t: string) => g.op('ReduceMean', [t, g.ints([1])], { keepdims: 1 });
    const dxhat = weight ? g.op('Mul', [dyRows, weight.name]) : dyRows;
    const along = g.op('Mul', [xhat, mean(g.op('Mul', [dxhat, xhat]))]);
    const centred = g.op('Sub', [g.op('Sub', [dxhat, mean(dxhat)]), along]);
    const dx = g.op('Mul', [centred, deviation]);
    if (!weight) return [dx];
    return [dx, sumOfRows(g, g.op('Mul', [dyRows, xhat]), shape), sumOfRows(g, dyRows, shape)];
  },
};

/** y = x·Wᵀ + b for x [N, in], weight [out, in], bias [out]. */
const linear: Kernel = {
  name: 'Linear',
  record: ({ x, weight, bias }) => ({
    inputs: bias ? [x, weight, bias] : [x, weight],
    outputs: [{ shape: [x.shape[0], weight.shape[0]], dtype: 'float32' }],
  }),
  lower: (g, operands) =>
    g.op(
      'Gemm',
      operands.map(({ name }) => name),
      { transB: 1 },
    ),
};

/** {dy, x, weight} → dx, dweight, dbias for dy [N, out], x [N, in]. */
const linearGrad: Kernel = {
  name: 'LinearGrad',
  record: ({ dy, x, weight }) => ({
    inputs: [dy, x, weight],
    outputs: [x.shape, weight.shape, weight.shape.slice(0, 1)].map((shape) => ({
      shape,
      dtype: 'float32' as const,
    })),
  }),
  lower: (g, [dy, x, weight]) => [
    g.op('MatMul', [dy.name, weight.name]),
    g.contrib('FusedMatMul', [dy.name, x.name], { transA: 1 }),
    sumOfRows(g, dy.name, dy.shape),
  ],
};

/** Rows gathered at a time in a weighted sum, in elements: pieces that stay in the cache. */
const MAX_GATHERED = 2 ** 20;
/** Columns scattered at a time, and elements: every piece of rows copies its columns of the table once. */
const SCATTERED_COLUMNS = 64;
const MAX_SCATTERED = 2 ** 23;

/** Splits `count` rows into pieces of at most `most`, as even as can be. */
export function pieces(count: number, most: number): number[] {
  const parts = Math.max(1, Math.ceil(count / Math.max(1, Math.floor(most))));
  return Array.from(
    { length: parts },
    (_, i) => Math.floor(((i + 1) * count) / parts) - Math.floor((i * count) / parts),
  );
}

/** y[n] = Σ_k weight[n, k]·table[index[n, k]]: {table [R, D], index [N, K], weight [N, K]} → [N, D]. */
const weightedRowSum: Kernel = {
  name: 'WeightedRowSum',
  record: ({ table, index, weight }) => ({
    inputs: [table, index, weight],
    outputs: [
      {
        shape: [index.shape[0], 1, table.shape[1]],
        view: [index.shape[0], table.shape[1]],
        dtype: 'float32',
      },
    ],
  }),
  lower: (g, [table, index, weight]) => {
    const [N, K] = index.shape;
    const D = table.shape[1];
    const sizes = pieces(N, MAX_GATHERED / (K * D));
    const weights = g.split(g.reshape(weight.name, [N, 1, K]), sizes, 0);
    const sums = g
      .split(index.name, sizes, 0)
      .map((places, i) => g.op('MatMul', [weights[i], g.op('Gather', [table.name, places], { axis: 0 })]));
    return g.concat(sums, 0);
  },
};

/** Its gradient for the weights: {table, index, dy [N, D]} → [N, K]. */
const weightedRowSumGradWeight: Kernel = {
  name: 'WeightedRowSumGradWeight',
  record: ({ table, index, dy }) => ({
    inputs: [table, index, dy],
    outputs: [{ shape: [...index.shape, 1], view: index.shape, dtype: 'float32' }],
  }),
  lower: (g, [table, index, dy]) => {
    const [N, K] = index.shape;
    const D = table.shape[1];
    const sizes = pieces(N, MAX_GATHERED / (K * D));
    const dys = g.split(g.reshape(dy.name, [N, D, 1]), sizes, 0);
    const products = g
      .split(index.name, sizes, 0)
      .map((places, i) => g.op('MatMul', [g.op('Gather', [table.name, places], { axis: 0 }), dys[i]]));
    return g.concat(products, 0);
  },
};

/** Its gradient for the table, every row a sum: {index, weight, dy} → [R, D]. */
const weightedRowSumGradTable: Kernel = {
  name: 'WeightedRowSumGradTable',
  // ONNX Runtime's ScatterND with reduction loses updates when its threads meet at one index.
  lane: SERIAL_LANE,
  record: ({ index, weight, dy }, { shape }) => ({
    inputs: [index, weight, dy],
    outputs: [{ shape: shape as number[], dtype: 'float32' }],
  }),
  lower: (g, [index, weight, dy], { outputs: [{ shape }] }) => {
    const [N, K] = index.shape;
    const [R, D] = shape;
    const widths = pieces(D, SCATTERED_COLUMNS);
    const sizes = pieces(N, MAX_SCATTERED / (K * Math.max(...widths)));
    const places = g.split(g.cast(g.reshape(index.name, [N, K, 1]), 'int64'), sizes, 0);
    const weights = g.split(g.reshape(weight.name, [N, K, 1]), sizes, 0);
    const columns = g.split(dy.name, widths, 1);
    const parts = widths.map((width, c) => {
      const slopes = g.split(g.reshape(columns[c], [N, 1, width]), sizes, 0);
      const zeros = g.op('Expand', [g.scalar(0), g.ints([R, width])]);
      return places.reduce(
        (sum, at, i) =>
          g.op('ScatterND', [sum, at, g.op('Mul', [weights[i], slopes[i]])], { reduction: 'add' }),
        zeros,
      );
    });
    return g.concat(parts, 1);
  },
};

/**
 * One update of Adam or AdamW for a parameter: {weight, grad, exp_avg, exp_avg_sq, settings} → the three new tensors.
 * settings = [decay, l2, β1, 1 − β1, β2, 1 − β2, 1/√(1 − β2^t), ε, step size], see solver/adam.ts.
 */
const adamUpdate: Kernel = {
  name: 'AdamUpdate',
  record: ({ weight, grad, exp_avg, exp_avg_sq, settings }, { decoupled }) => {
    const tensors = [weight, grad, exp_avg, exp_avg_sq];
    for (const { shape } of tensors) util.assertShapesMatch(shape, weight.shape, 'update of a parameter: ');
    return {
      inputs: [...tensors, settings],
      attributes: { decoupled },
      outputs: [weight, weight, weight].map(({ shape }) => ({ shape, dtype: 'float32' })),
    };
  },
  lower: (g, [weight, grad, m, v, settings], { attributes }) => {
    const { decoupled } = attributes as { decoupled: boolean };
    const [count] = settings.shape;
    // Views of one element without axes, so that they broadcast to parameters of any rank.
    const scalars = g.once(`scalars of ${settings.name}`, () =>
      g.split(settings.name, new Array(count).fill(1), 0).map((part) => g.reshape(part, [])),
    );
    const [decay, l2, beta1, rest1, beta2, rest2, correction, eps, stepSize] = scalars;
    const w = decoupled ? g.op('Mul', [weight.name, decay]) : weight.name;
    const slope = decoupled ? grad.name : g.op('Add', [grad.name, g.op('Mul', [weight.name, l2])]);
    const average = g.op('Add', [g.op('Mul', [m.name, beta1]), g.op('Mul', [slope, rest1])]);
    const square = g.op('Mul', [g.op('Mul', [slope, slope]), rest2]);
    const averageSq = g.op('Add', [g.op('Mul', [v.name, beta2]), square]);
    const deviation = g.op('Add', [g.op('Mul', [g.op('Sqrt', [averageSq]), correction]), eps]);
    const change = g.op('Mul', [g.op('Div', [average, deviation]), stepSize]);
    return [g.op('Sub', [w, change]), average, averageSq];
  },
};

export const fusedKernels: Kernel[] = [
  gelu,
  geluGrad,
  reluGrad,
  layerNorm,
  layerNormGrad,
  linear,
  linearGrad,
  weightedRowSum,
  weightedRowSumGradWeight,
  weightedRowSumGradTable,
  adamUpdate,
];
