/** @file Comparisons, logic, and whole numbers. */
import { tf } from '../../engine/tfjs.js';
import { bools, type Case, EXACT, type Family, floats, ints } from '../case.js';

type Comparison = readonly [
  name: string,
  f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  formula: (a: number, b: number) => boolean,
];

const COMPARISONS: readonly Comparison[] = [
  ['equal', tf.equal, (a, b) => a === b],
  ['less', tf.less, (a, b) => a < b],
  ['greaterEqual', tf.greaterEqual, (a, b) => a >= b],
];

const comparisons: Case[] = COMPARISONS.map(([name, f, formula]) => ({
  name,
  inputs: [ints([11, 7], -3, 3), ints([11, 7], -3, 3), floats([5, 3, 2, 7], -2, 2), floats([3, 1, 7], -2, 2)],
  // The comparisons of a number with itself meet equal floats.
  compute: (a, b, x, y) => [f(a, b), f(x, x), f(x, y.floor().tile([1, 2, 1]))],
  expected: ([a, b, x, y]) => [
    a.map((value, i) => Number(formula(value, b[i]))),
    x.map((value) => Number(formula(value, value))),
    x.map((value, i) => Number(formula(value, Math.floor(y[(Math.floor(i / 14) % 3) * 7 + (i % 7)])))),
  ],
}));

const wholeNumbers: Case = {
  name: 'whole numbers',
  inputs: [ints([11, 7], -9, 9), ints([7], 1, 9)],
  compute: (a, b) => [a.add(b), a.mul(b), a.sub(b), a.maximum(b), a.minimum(b)],
  expected: ([a, b]) =>
    [
      (x: number, y: number) => x + y,
      (x: number, y: number) => x * y,
      (x: number, y: number) => x - y,
      Math.max,
      Math.min,
    ].map((formula) => a.map((x, i) => formula(x, b[i % 7]))),
};

export const LOGIC: Family = {
  name: 'comparisons, logic, integers',
  tolerance: EXACT,
  reason: 'there is nothing to round',
  cases: [
    ...comparisons,
    {
      name: 'logicalAnd',
      inputs: [bools([5, 3, 7]), bools([3, 7]), bools([1009])],
      compute: (a, b, c) => [a.logicalAnd(b), c.logicalAnd(c)],
      expected: ([a, b, c]) => [a.map((x, i) => x * b[i % 21]), c],
    },
    wholeNumbers,
    {
      name: 'cast',
      inputs: [floats([13, 5], -9, 9), ints([7], -9, 9), bools([11])],
      compute: (x, n, b) => [x.toInt(), n.toFloat(), b.toFloat(), b.toInt(), n.toBool()],
      expected: ([x, n, b]) => [x.map(Math.trunc), n, b, b, n.map((value) => Number(value !== 0))],
    },
  ],
};
