/** @file Layer normalisation, and activations. */
import { exp2, gelu, layerNorm, relu } from '../../nn/functional.js';
import { type Case, type Family, floats } from '../case.js';
import { layerNorm as doubleNorm, gelu as exactGelu, geluDerivative } from '../double.js';

const EPS = 1e-6;

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
