/** @file NaN and infinity: they must reach predictions and gradient norms, because this is how a bad step is noticed. */
import { tf } from '../../engine/tfjs.js';
import { makeFeatureTable, samplePoints } from '../../model/sampling.js';
import { selfAttention } from '../../nn/attention.js';
import { conv3d } from '../../nn/conv3d.js';
import { gelu, layerNorm, linear } from '../../nn/functional.js';
import { weightedRowSum } from '../../nn/spatial.js';
import { squareSums } from '../../training/grad_norm.js';
import { type Case, type Family, floats, given, type Input, ints } from '../case.js';
import { linear as doubleLinear, layerNorm as doubleNorm, softmax, squareSum } from '../double.js';
import { selfAttention as doubleAttention } from '../double_attention.js';
import { weightedRowSum as doubleSum } from '../double_spatial.js';

const [NAN, INFINITE] = [Number.NaN, Number.POSITIVE_INFINITY];
const EPS = 1e-6;

/** Ordinary numbers, with `bad` at one place. */
function withBad(shape: readonly number[], place: number, bad = NAN): Input {
  const size = shape.reduce((a, b) => a * b);
  const values = Array.from({ length: size }, (_, i) => ((i * 7) % 11) / 11 - 0.4);
  values[place] = bad;
  return given(values, shape);
}

/** Operations that carry NaN into its own row and into no other. */
const rows: Case[] = [
  {
    name: 'linear layer, with gradients',
    inputs: [withBad([5, 7], 9), floats([3, 7]), floats([3])],
    gradients: [0, 1, 2],
    compute: (x, weight, bias) => linear(x, weight, bias),
    expected: (inputs, dy) => doubleLinear(inputs, dy, { rows: 5, inner: 7, columns: 3 }),
  },
  {
    name: 'layer normalisation, with gradients',
    inputs: [withBad([5, 7], 9), floats([7]), floats([7])],
    gradients: [0, 1, 2],
    compute: (x, weight, bias) => layerNorm(x, EPS, { weight, bias }),
    expected: ([x, weight, bias], dy) => doubleNorm({ x, dy, width: 7, eps: EPS, affine: { weight, bias } }),
  },
  {
    name: 'softmax',
    inputs: [withBad([5, 7], 9)],
    compute: (x) => tf.softmax(x),
    expected: ([x]) => [softmax(x, 7)],
  },
  {
    name: 'weighted sums of rows',
    inputs: [withBad([9, 4], 11), ints([6, 3], 0, 9), withBad([6, 3], 4)],
    compute: (table, index, weight) => weightedRowSum(table, index, weight),
    expected: (inputs) => doubleSum(inputs, new Float64Array(24), { samples: 6, width: 4 }).slice(0, 1),
  },
];

const ATTENTION = { batch: 2, tokens: 5, heads: 2, features: 4, scale: 0.5 };

/** Operations that may spread NaN within a clip. It must arrive, but not in another clip. */
const wholes: Case[] = [
  {
    name: 'self-attention',
    inputs: [withBad([2, 5, 24], 130)],
    compute: (qkv) => {
      const y = selfAttention(qkv, 2, { scale: 0.5 });
      return squareSums([y.slice([0, 0, 0], [1, 5, 8]), y.slice([1, 0, 0], [1, 5, 8])]) as tf.Tensor;
    },
    expected: ([qkv]) => {
      const [y] = doubleAttention({ ...ATTENTION, qkv, dy: new Float64Array(80) });
      return [[squareSum(y.subarray(0, 40)), NAN]];
    },
  },
  {
    name: 'convolution',
    inputs: [withBad([1, 2, 5, 6, 3], 50), floats([4, 3, 3, 3, 3])],
    compute: (x, weight) => squareSums([conv3d(x, weight, { padding: [1, 1, 1] })]) as tf.Tensor,
    expected: () => [[NAN]],
  },
  {
    name: 'sampling at a point that is NaN',
    inputs: [floats([1, 2, 4, 6, 5]), withBad([1, 3, 1, 3], 3)],
    compute: (map, points) => {
      const y = samplePoints(makeFeatureTable([map], [8], 1), points);
      return squareSums([y.slice([1, 0, 0, 0], [1, 1, 2, 5]), y]) as tf.Tensor;
    },
    expected: () => [[NAN, NAN]],
  },
];

export const NONFINITE: Family = {
  name: 'NaN and infinity',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'numbers that are not finite must stand exactly where they are expected',
  cases: [
    {
      name: 'elementwise operations',
      inputs: [given([NAN, INFINITE, -INFINITE, 1, 0])],
      compute: (x) => [
        x.add(1),
        x.mul(-2),
        x.sub(x),
        x.relu(),
        x.exp(),
        tf.div(1, x),
        x.log(),
        gelu(x.slice([0], [2])),
      ],
      expected: ([x]) => [
        x.map((value) => value + 1),
        x.map((value) => value * -2),
        x.map((value) => value - value),
        x.map((value) => Math.max(value, 0)),
        x.map(Math.exp),
        x.map((value) => 1 / value),
        x.map(Math.log),
        [NAN, INFINITE],
      ],
    },
    {
      name: 'sums',
      inputs: [given([NAN, 1, 2, INFINITE, 1, 2, INFINITE, -INFINITE, 1], [3, 3])],
      compute: (x) => [x.sum(1), x.mean(1)],
      expected: () => [
        [NAN, INFINITE, NAN],
        [NAN, INFINITE, NAN],
      ],
    },
    {
      name: 'sums of squares, also of numbers whose squares overflow',
      inputs: [
        given([1, NAN, 2]),
        given([-INFINITE, 1]),
        given([3e30, 1]),
        given([3, 4]),
        withBad([71, 73], 5000),
      ],
      compute: (...xs) => squareSums(xs) as tf.Tensor,
      expected: () => [[NAN, INFINITE, INFINITE, 25, NAN]],
    },
    ...rows,
    ...wholes,
  ],
};
