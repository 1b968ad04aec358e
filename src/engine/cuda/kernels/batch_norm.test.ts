/** @file Batch normalisation and sums of columns, evaluated on the host, against tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  BFLOAT16,
  expectClose,
  lowerFused,
  type Operand,
  reference,
  uniform,
} from '../../../../test/support/lowered.js';
import { tf } from '../../tfjs.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

const EPS = 1e-5;

/** Mean and biased variance of each channel. */
function statistics(x: tf.Tensor): { mean: tf.Tensor; variance: tf.Tensor } {
  return tf.moments(x.reshape([-1, x.shape[x.rank - 1]]), 0);
}

const normalize = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => {
  const { mean, variance } = statistics(x);
  return x.sub(mean).mul(variance.add(EPS).rsqrt()).mul(weight).add(bias);
};

function operandsOf(shape: number[]) {
  const C = shape[4];
  return {
    x: uniform(shape, 1),
    weight: uniform([C], 2),
    bias: uniform([C], 3),
    residual: uniform(shape, 4),
    dy: uniform(shape, 5),
  };
}

function statisticsOf(x: Operand): { mean: Operand; variance: Operand } {
  const [mean] = reference([x], null, (a) => statistics(a).mean);
  const [variance] = reference([x], null, (a) => statistics(a).variance);
  const as = (data: Float32Array): Operand => ({ shape: [data.length], dtype: 'float32', data });
  return { mean: as(mean), variance: as(variance) };
}

const SHAPES = [
  [2, 2, 3, 4, 3],
  [1, 1, 1, 2, 4],
  // More rows than are summed without being split.
  [1, 3, 9, 11, 5],
];

describe('batch normalisation', () => {
  it.each(SHAPES)('has the right value and statistics for [%i, %i, %i, %i, %i]', (...shape) => {
    const { x, weight, bias, residual } = operandsOf(shape);
    const { mean, variance } = statisticsOf(x);
    const [plain] = reference([x, weight, bias], null, normalize);
    const [whole] = reference([x, weight, bias, residual], null, (a, w, c, r) =>
      normalize(a, w, c).add(r).relu(),
    );
    const run = (extra: object, relu: boolean) =>
      lowerFused('BatchNorm', { x, weight, bias, ...extra }, { eps: EPS, relu }).values();
    expectClose(run({}, false), [plain, mean.data, variance.data]);
    expectClose(run({ residual }, true), [whole, mean.data, variance.data]);
  });

  it.each(SHAPES)('has the right gradients for [%i, %i, %i, %i, %i]', (...shape) => {
    const { x, weight, bias, dy } = operandsOf(shape);
    const given = { dy, x, weight, ...statisticsOf(x) };
    const [, ...grads] = reference([x, weight, bias], dy, normalize);
    expectClose(lowerFused('BatchNormGrad', given, { eps: EPS }).values(), grads, 1e-4);
    const rectified = (a: tf.Tensor, w: tf.Tensor, c: tf.Tensor) => normalize(a, w, c).relu();
    const [data, ...rest] = reference([x, weight, bias], dy, rectified);
    const y = { ...dy, data };
    expectClose(lowerFused('BatchNormGrad', { ...given, y }, { eps: EPS }).values(), rest, 1e-4);
  });

  it('keeps the digits of variances that are small beside the mean', () => {
    const x = uniform([1, 4, 8, 8, 2], 1);
    // The first rows are far from the others.
    const data = x.data.map((value, i) => 1000 + value * (i < 20 ? 30 : 1));
    const weight = uniform([2], 2);
    const exact = [0, 1].map((c) => {
      const channel = [...data].filter((_, i) => i % 2 === c);
      const mean = channel.reduce((a, b) => a + b) / channel.length;
      return channel.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channel.length;
    });
    const inputs = { x: { ...x, data }, weight, bias: weight };
    const [, , variance] = lowerFused('BatchNorm', inputs, { eps: EPS, relu: false }).values();
    expectClose([variance], [exact]);
  });

  it('has variance 0 where all values are equal', () => {
    const x = uniform([1, 2, 9, 9, 2], 1);
    const data = x.data.map((_, i) => (i % 2 === 0 ? 1 / 3 : -1e6));
    const weight = uniform([2], 2);
    const inputs = { x: { ...x, data }, weight, bias: weight };
    const [y, mean, variance] = lowerFused('BatchNorm', inputs, { eps: EPS, relu: false }).values();
    expectClose([mean], [Float32Array.of(1 / 3, -1e6)]);
    expectClose([variance], [[0, 0]], 1e-6);
    expect([...y].every(Number.isFinite)).toBe(true);
  });

  it('stores large results in bfloat16, and statistics and gradients of weights in full', () => {
    const { x, weight, bias, dy } = operandsOf([1, 4, 64, 64, 4]);
    const [y] = reference([x, weight, bias], null, normalize);
    const { mean, variance } = statisticsOf(x);
    const forward = lowerFused('BatchNorm', { x, weight, bias }, { eps: EPS, relu: false }, BFLOAT16);
    const given = { dy, x, weight, mean, variance };
    const backward = lowerFused('BatchNormGrad', given, { eps: EPS }, BFLOAT16);
    const storages = [...forward.results, ...backward.results].map(({ tensor }) => tensor.storage);
    expect(storages).toEqual(['bfloat16', 'float32', 'float32', 'bfloat16', 'float32', 'float32']);
    expectClose(forward.values().slice(0, 1), [y], 2 ** -8);
  });
});

it.each([
  [1, 1],
  [7, 3],
  [1000, 3],
  [0, 2],
])('adds up the columns of %i rows of %i', (N, C) => {
  const x = uniform([N, C], 1);
  const sums = Array.from({ length: C }, (_, c) =>
    [...x.data].filter((_, i) => i % C === c).reduce((a, b) => a + b, 0),
  );
  expectClose(lowerFused('ColumnSums', { x }, {}).values(), [sums]);
});
