/** @file Sums, means, maxima and softmax, over different axes. */
import { tf } from '../../engine/tfjs.js';
import { mean, sumOfRows } from '../../nn/functional.js';
import { squareSums } from '../../training/grad_norm.js';
import { type Case, EXACT, type Family, floats } from '../case.js';
import { columnSums, softmax, squareSum, sum } from '../double.js';

const rowsOf = (x: Float64Array, width: number) =>
  Array.from({ length: x.length / width }, (_, i) => x.subarray(i * width, (i + 1) * width));

/** The numbers to be added are positive: a sum near zero would have no correct digits. */
const sums: Case[] = [
  {
    name: 'sum over all, the last and the first axis',
    inputs: [floats([13, 7], 0, 2), floats([1, 1], 0, 2), floats([613, 57], 0, 2)],
    compute: (...xs) => xs.flatMap((x) => [x.sum(), x.sum(-1), x.sum(0), x.sum(-1, true)]),
    expected: (xs) =>
      [7, 1, 57].flatMap((width, n) => {
        const rows = Float64Array.from(rowsOf(xs[n], width).map(sum));
        return [[sum(xs[n])], rows, columnSums(xs[n], width), rows];
      }),
  },
  {
    name: 'sums of rows',
    inputs: [floats([13, 7], 0, 2), floats([613, 57], 0, 2)],
    compute: (...xs) => xs.map(sumOfRows),
    expected: (xs) => [7, 57].map((width, n) => columnSums(xs[n], width)),
  },
  {
    name: 'sum of a long row',
    inputs: [floats([1, 10_007], 0, 1)],
    compute: (x) => x.sum(1),
    expected: ([x]) => [[sum(x)]],
  },
  {
    name: 'sum over inner axes, of rank 3 to 6',
    inputs: [floats([3, 5, 7], 0, 2), floats([3, 2, 5, 7], 0, 2), floats([2, 3, 2, 3, 2, 2], 0, 2)],
    compute: (a, b, c) => [a.sum(1), b.sum([0, 2]), b.sum([1, 2], true), c.sum([2, 3]), c.sum(5)],
  },
  {
    name: 'mean over the last and an inner axis',
    inputs: [floats([13, 7], 0, 2), floats([3, 5, 2, 7], 0, 2)],
    compute: (a, b) => [a.mean(-1, true), b.mean(2), b.mean()],
  },
  {
    name: 'mean, with gradient',
    inputs: [floats([3, 5, 7], 0, 2)],
    gradients: [0],
    compute: (x) => mean(x, 1),
  },
  {
    name: 'softmax, with gradient',
    inputs: [floats([3, 11, 7], -4, 4)],
    gradients: [0],
    compute: (x) => tf.softmax(x),
  },
  {
    name: 'softmax of long rows',
    inputs: [floats([5, 1009], -9, 9)],
    compute: (x) => tf.softmax(x),
    expected: ([x]) => [softmax(x, 1009)],
  },
];

/** What gradient norms are made of. */
const squares: Case = {
  name: 'sums of squares',
  inputs: [floats([1]), floats([13, 7]), floats([3, 5, 2, 7]), floats([4099]), floats([61, 1024])],
  compute: (...xs) => [squareSums(xs) as tf.Tensor],
  expected: (xs) => [xs.map(squareSum)],
};

export const SUMS: Family = {
  name: 'sums, means, softmax',
  tolerance: { norm: 1e-5, largest: 1e-5 },
  reason: 'a sum of 10,000 numbers, one after the other, keeps about 2e-6',
  cases: [...sums, squares],
};

export const MAXIMA: Family = {
  name: 'maxima',
  tolerance: EXACT,
  reason: 'there is nothing to round',
  cases: [
    {
      name: 'max over the last, an inner and all axes',
      inputs: [floats([13, 7]), floats([17, 4, 5]), floats([1009, 3])],
      compute: (a, b, c) => [a.max(-1, true), b.max(1), c.max(0), c.max()],
    },
    {
      name: 'argMax, also of equal numbers',
      inputs: [floats([17, 4, 5]), floats([19, 7], 0, 3)],
      compute: (a, b) => [a.argMax(1), b.floor().argMax(1), b.argMax(0)],
    },
  ],
};
