/** @file Matrix products and linear layers. */
import { tf } from '../../engine/tfjs.js';
import { linear } from '../../nn/functional.js';
import { type Case, type Family, floats } from '../case.js';
import { linear as doubleLinear, type ProductSizes, product } from '../double.js';

/** Products of one size; the letters name the transposed factors. */
export function matMul(sizes: ProductSizes): Case {
  const { batch, rows, inner, columns, transposeA = false, transposeB = false } = sizes;
  const stored = (first: number, second: number, isTurned: boolean) => [
    ...(batch === undefined ? [] : [batch]),
    ...(isTurned ? [second, first] : [first, second]),
  ];
  const shapes = [stored(rows, inner, transposeA), stored(inner, columns, transposeB)];
  const turned = [...(transposeA ? ['A'] : []), ...(transposeB ? ['B'] : [])];
  return {
    name:
      shapes.map((shape) => `[${shape}]`).join('·') +
      (turned.length ? ` with ${turned.join(' and ')} transposed` : ''),
    inputs: shapes.map((shape) => floats(shape)),
    compute: (a, b) => tf.matMul(a, b, transposeA, transposeB),
    expected: ([a, b]) => [product(a, b, sizes)],
  };
}

const SMALL = { rows: 13, inner: 7, columns: 11 };
const BATCHED = { batch: 3, rows: 5, inner: 9, columns: 7 };
const TURNS = [{}, { transposeA: true }, { transposeB: true }, { transposeA: true, transposeB: true }];

export const PRODUCTS: Family = {
  name: 'matrix products',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'float32 keeps about 1e-6; TF32 and half precision, with ten bits, would give 3e-4',
  cases: [
    ...TURNS.map((turn) => matMul({ ...SMALL, ...turn })),
    ...TURNS.map((turn) => matMul({ ...BATCHED, ...turn })),
    matMul({ rows: 1, inner: 1, columns: 1 }),
    matMul({ rows: 1, inner: 301, columns: 5 }),
    matMul({ rows: 3, inner: 4099, columns: 5 }),
    matMul({ rows: 257, inner: 131, columns: 203 }),
    matMul({ batch: 10, rows: 65, inner: 33, columns: 47 }),
    {
      name: '[5, 4, 9]·[5, 9, 6] with gradients',
      inputs: [floats([5, 4, 9]), floats([5, 9, 6])],
      gradients: [0, 1],
      compute: (a, b) => tf.matMul(a, b),
    },
  ],
};

export function layer({ rows, inner, columns }: ProductSizes, bias: 'with' | 'without'): Case {
  return {
    name: `[${rows}, ${inner}] to [${rows}, ${columns}] ${bias} bias, with gradients`,
    inputs: [
      floats([rows, inner]),
      floats([columns, inner]),
      ...(bias === 'with' ? [floats([columns])] : []),
    ],
    gradients: bias === 'with' ? [0, 1, 2] : [0, 1],
    compute: (x, weight, b) => linear(x, weight, b),
    expected: (inputs, dy) => doubleLinear(inputs, dy, { rows, inner, columns }),
  };
}

export const LINEAR: Family = {
  name: 'linear layers',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'as for matrix products',
  cases: [
    layer({ rows: 1, inner: 5, columns: 3 }, 'with'),
    layer({ rows: 13, inner: 7, columns: 11 }, 'with'),
    layer({ rows: 13, inner: 7, columns: 11 }, 'without'),
    layer({ rows: 301, inner: 97, columns: 129 }, 'with'),
    layer({ rows: 64, inner: 128, columns: 96 }, 'without'),
    {
      name: 'leading axes',
      inputs: [floats([2, 3, 5, 7]), floats([4, 7]), floats([4])],
      gradients: [0, 1, 2],
      compute: (x, weight, bias) => linear(x, weight, bias),
    },
  ],
};
