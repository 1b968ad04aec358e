/** @file Normalisation of layers and of batches, and activations. */
import { batchNorm } from '../../nn/batch_norm.js';
import { exp2, gelu, layerNorm, relu } from '../../nn/functional.js';
import { type Case, type Family, floats } from '../case.js';
import {
  batchNorm as doubleBatchNorm,
  layerNorm as doubleNorm,
  gelu as exactGelu,
  geluDerivative,
} from '../double.js';

const EPS = 1e-6;
const BATCH_EPS = 1e-5;

function affineNorm(rows: number, width: number): Case {
  return {
    name: `[${rows}, ${width}] with weight and bias`,
    inputs: [floats([rows, width], -1, 3), floats([width], 0.5, 2), floats([width])],
    gradients: [0, 1, 2],
    compute: (x, weight, bias) => layerNorm(x, EPS, { weight, bias }),
    expected: ([x, weight, bias], dy) => doubleNorm({ x, dy, width, eps: EPS, affine: { weight, bias } }),
  };
}

export const LAYER_NORM: Family = {
  name: 'layer normalisation',
  tolerance: { norm: 1e-5, largest: 2e-5 },
  reason: 'means, a variance and their gradients; float32 keeps about 1e-6',
  cases: [
    affineNorm(13, 7),
    affineNorm(1, 768),
    affineNorm(307, 130),
    {
      name: 'over two axes, without weights',
      inputs: [floats([5, 3, 7])],
      gradients: [0],
      compute: (x) => layerNorm(x, 1e-5, { axes: 2 }),
      expected: ([x], dy) => doubleNorm({ x, dy, width: 21, eps: 1e-5 }),
    },
    {
      name: 'far from zero',
      inputs: [floats([9, 33], 99, 101)],
      gradients: [0],
      compute: (x) => layerNorm(x.sub(100), EPS),
    },
  ],
};

function normOfBatch(map: readonly number[], channels: number): Case {
  return {
    name: `[${[...map, channels]}]`,
    inputs: [floats([...map, channels], -1, 3), floats([channels], 0.5, 2), floats([channels])],
    gradients: [0, 1, 2],
    compute: (x, weight, bias) => batchNorm(x, weight, bias),
    expected: ([x, weight, bias], dy) => doubleBatchNorm({ x, dy, weight, bias, eps: BATCH_EPS }),
  };
}

export const BATCH_NORM: Family = {
  name: 'batch normalisation',
  tolerance: { norm: 1e-5, largest: 2e-5 },
  reason: 'means, a variance and their gradients; float32 keeps about 1e-6',
  cases: [
    normOfBatch([2, 3, 5, 4], 3),
    normOfBatch([1, 2, 9, 11], 80),
    normOfBatch([1, 4, 31, 37], 16),
    {
      name: 'with residual and ReLU',
      inputs: [floats([1, 2, 5, 6, 33]), floats([33], 0.5, 2), floats([33]), floats([1, 2, 5, 6, 33])],
      gradients: [0, 1, 2, 3],
      compute: (x, weight, bias, residual) => batchNorm(x, weight, bias, { residual, relu: true }),
    },
    {
      name: 'with ReLU',
      inputs: [floats([2, 2, 5, 6, 7]), floats([7], 0.5, 2), floats([7])],
      gradients: [0, 1, 2],
      compute: (x, weight, bias) => batchNorm(x, weight, bias, { relu: true }),
    },
    {
      name: 'far from zero',
      inputs: [floats([1, 2, 31, 37, 9], 99, 101), floats([9], 0.5, 2), floats([9])],
      gradients: [0, 1, 2],
      compute: (x, weight, bias) => batchNorm(x.sub(100), weight, bias),
    },
  ],
};

type Activation = readonly [
  name: string,
  compute: Case['compute'],
  formula: (x: number) => number,
  derivative: (x: number) => number,
];

const FUNCTIONS: readonly Activation[] = [
  ['GELU', gelu, exactGelu, geluDerivative],
  ['ReLU', relu, (x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  ['2^x', exp2, (x) => 2 ** x, (x) => Math.LN2 * 2 ** x],
];

/** Some arguments are so large that GELU is 0 or x. */
const SIZES: readonly (readonly [shape: readonly number[], range: number])[] = [
  [[13, 7], 3],
  [[3, 5, 2, 7], 8],
  [[1009, 31], 5],
];

export const ACTIVATIONS: Family = {
  name: 'activations',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'GPUs approximate erf and exp with an error of about 1e-6',
  cases: [
    ...FUNCTIONS.flatMap(([name, compute, formula, derivative]) =>
      SIZES.map(
        ([shape, range]): Case => ({
          name: `${name} of [${shape}]`,
          inputs: [floats(shape, -range, range)],
          gradients: [0],
          compute,
          expected: ([x], dy) => [x.map(formula), x.map((value, i) => dy[i] * derivative(value))],
        }),
      ),
    ),
  ],
};
