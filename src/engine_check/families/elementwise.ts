/** @file Operations on each element, with and without broadcasting, on tensors of rank 0 to 6. */
import { tf } from '../../engine/tfjs.js';
import { type Case, type Family, floats } from '../case.js';
import { erf } from '../double.js';

/** One function, its formula, and the interval of its arguments. */
type Unary = readonly [
  name: string,
  f: (x: tf.Tensor) => tf.Tensor,
  formula: (x: number) => number,
  interval: readonly [low: number, high: number],
];

const UNARY: readonly Unary[] = [
  ['neg', tf.neg, (x) => -x, [-3, 3]],
  ['abs', tf.abs, Math.abs, [-3, 3]],
  ['exp', tf.exp, Math.exp, [-9, 3]],
  ['log', tf.log, Math.log, [0.01, 9]],
  ['sqrt', tf.sqrt, Math.sqrt, [0.01, 9]],
  ['rsqrt', tf.rsqrt, (x) => 1 / Math.sqrt(x), [0.01, 9]],
  ['square', tf.square, (x) => x * x, [-3, 3]],
  ['sin', tf.sin, Math.sin, [-9, 9]],
  ['cos', tf.cos, Math.cos, [-9, 9]],
  ['erf', tf.erf, erf, [-3, 3]],
  ['sigmoid', tf.sigmoid, (x) => 1 / (1 + Math.exp(-x)), [-9, 9]],
  ['relu', tf.relu, (x) => Math.max(x, 0), [-3, 3]],
  ['step', (x) => tf.step(x), (x) => (x > 0 ? 1 : 0), [-3, 3]],
  ['floor', tf.floor, Math.floor, [-9, 9]],
];

/** A scalar, a small tensor, one of rank 6, and a larger one. */
const SHAPES: readonly (readonly number[])[] = [[], [3, 5, 7], [2, 3, 1, 2, 3, 2], [317, 33]];

const unary: Case[] = UNARY.map(([name, f, formula, [low, high]]) => ({
  name,
  inputs: SHAPES.map((shape) => floats(shape, low, high)),
  compute: (...xs) => xs.map(f),
  expected: (xs) => xs.map((x) => x.map(formula)),
}));

type Binary = readonly [
  name: string,
  f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  formula: (a: number, b: number) => number,
];

const BINARY: readonly Binary[] = [
  ['add', tf.add, (a, b) => a + b],
  ['sub', tf.sub, (a, b) => a - b],
  ['mul', tf.mul, (a, b) => a * b],
  ['div', tf.div, (a, b) => a / b],
  ['maximum', tf.maximum, Math.max],
  ['minimum', tf.minimum, Math.min],
];

/** Pairs of shapes. The second broadcasts to the first. */
const PAIRS: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [7, 13],
    [7, 13],
  ],
  [[7, 13], []],
  [[3, 5, 7], [7]],
  [
    [3, 5, 7],
    [5, 1],
  ],
  [
    [2, 3, 2, 5, 1, 3],
    [2, 1, 2, 1, 1, 3],
  ],
  [
    [1009, 31],
    [1009, 1],
  ],
];

const binary: Case[] = BINARY.map(([name, f, formula]) => ({
  name,
  inputs: PAIRS.flatMap(([a, b]) => [floats(a, -3, 3), floats(b, 0.5, 3)]),
  compute: (...xs) => PAIRS.map((_, i) => f(xs[2 * i], xs[2 * i + 1])),
  expected: (xs) =>
    PAIRS.map(([a, b], i) => xs[2 * i].map((x, at) => formula(x, xs[2 * i + 1][broadcast(at, a, b)]))),
}));

/** The place in a tensor of shape `from` that broadcasts to place `at` of shape `to`. */
function broadcast(at: number, to: readonly number[], from: readonly number[]): number {
  let [rest, place, stride] = [at, 0, 1];
  for (let axis = 1; axis <= to.length; axis++) {
    const size = to[to.length - axis];
    const own = from[from.length - axis] ?? 1;
    if (own > 1) place += (rest % size) * stride;
    rest = Math.floor(rest / size);
    stride *= own;
  }
  return place;
}

const gradients: Case = {
  name: 'gradients of a broadcast formula',
  inputs: [floats([3, 5, 7]), floats([5, 1], 0.5, 2), floats([7])],
  gradients: [0, 1, 2],
  compute: (a, b, c) => a.mul(b).sub(c).div(b).exp(),
};

export const ELEMENTWISE: Family = {
  name: 'elementwise operations',
  tolerance: { norm: 5e-5, largest: 5e-5 },
  reason:
    'GPUs compute exp and sin with an error of about 1e-6, and erf with 2e-5 in a software GPU; half precision would give 3e-4',
  cases: [...unary, ...binary, gradients],
};
