/** @file Gradients of the layer functions by finite differences, and their values at ties, zeros and extremes. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { exp2, gelu, layerNorm, linear, mean, relu } from './functional.js';
import { backward } from './tape.js';

/** Numbers of both signs, none nearer to zero than `margin`: no step of a check passes a kink there. */
function awayFromZero(shape: number[], rng: Rng, margin: number): Values {
  return values(shape, () => {
    const x = rng.normal();
    return x + Math.sign(x) * margin;
  });
}

/** Values and gradient of f at `xs`, each output weighted by 1. */
function valueAndGradient(f: (...xs: tf.Tensor[]) => tf.Tensor, ...xs: number[][]) {
  return tf
    .tidy(() => {
      const inputs = xs.map((x) => tf.tensor1d(x));
      const { grads } = backward(() => f(...inputs).sum(), inputs);
      return [f(...inputs), ...grads.map((grad) => grad as tf.Tensor)];
    })
    .map((tensor) => {
      const data = Array.from(tensor.dataSync());
      tensor.dispose();
      return data;
    });
}

describe('linear', () => {
  it.each([
    ['rows', [5, 4]],
    ['leading axes', [2, 3, 2, 4]],
    ['one vector', [4]],
  ])('has the gradients of x·Wᵀ + b for %s', (_, shape) => {
    const rng = new Rng(1);
    const [x, weight, bias] = [normals(shape, rng), normals([3, 4], rng), normals([3], rng)];
    expectGradients((...t) => linear(t[0], t[1], t[2]), [x, weight, bias]);
    expectGradients((...t) => linear(t[0], t[1]), [x, weight]);
  });

  it('computes x·Wᵀ + b', () => {
    const y = tf.tidy(() =>
      linear(
        tf.tensor([1, 2, 3, 4], [2, 1, 2]),
        tf.tensor([1, 0, 0, 1, 1, 1], [3, 2]),
        tf.tensor1d([10, 20, 30]),
      ),
    );
    expect(y.shape).toEqual([2, 1, 3]);
    expect(Array.from(y.dataSync())).toEqual([11, 22, 33, 13, 24, 37]);
    y.dispose();
  });
});

describe('layerNorm', () => {
  const rng = new Rng(2);

  it('has the right gradients with weight and bias', () => {
    expectGradients(
      (x, weight, bias) => layerNorm(x, 1e-5, { weight, bias }),
      [normals([2, 3, 6], rng), normals([6], rng), normals([6], rng)],
    );
  });

  it('has the right gradients without weights, over one axis and over two', () => {
    expectGradients((x) => layerNorm(x, 1e-5), [normals([4, 5], rng)]);
    expectGradients((x) => layerNorm(x, 1e-5, { axes: 2 }), [normals([3, 2, 4], rng)]);
  });

  it('has the right gradients if eps is as large as the variance', () => {
    expectGradients((x) => layerNorm(x, 1), [normals([4, 5], rng)]);
  });

  it('normalises over both last axes together', () => {
    const y = tf.tidy(() => layerNorm(tf.tensor([1, 2, 3, 4, 10, 10, 10, 14], [2, 2, 2]), 0, { axes: 2 }));
    const data = y.dataSync();
    y.dispose();
    const expected = [-3, -1, 1, 3].map((x) => x / Math.sqrt(5));
    for (let i = 0; i < 4; i++) expect(data[i]).toBeCloseTo(expected[i], 5);
    for (const [i, x] of [-1, -1, -1, 3].entries()) expect(data[4 + i]).toBeCloseTo(x / Math.sqrt(3), 5);
  });

  it('keeps its precision for a small spread on a large mean, and is finite for a constant row', () => {
    const y = tf.tidy(() => layerNorm(tf.tensor([1024, 1025, 1026, 1027, 7, 7, 7, 7], [2, 4]), 1e-6));
    const data = y.dataSync();
    y.dispose();
    expect(data[3]).toBeCloseTo(1.5 / Math.sqrt(1.25), 5);
    expect(Array.from(data.slice(4))).toEqual([0, 0, 0, 0]);
  });
});

describe('the elementwise function', () => {
  const rng = new Rng(3);

  it('gelu has the right gradient and the values of the error function', () => {
    expectGradients(gelu, [normals([40], rng, 2)]);
    const [y] = valueAndGradient(gelu, [0, 1, -1, 20, -20]);
    // x·Φ(x), Φ(1) = 0.841344746
    for (const [i, expected] of [0, 0.841344746, -0.158655254, 20, 0].entries()) {
      expect(y[i]).toBeCloseTo(expected, 6);
    }
  });

  it('relu has the right gradient, and none at zero', () => {
    expectGradients(relu, [awayFromZero([5, 6], rng, 0.3)]);
    expect(valueAndGradient(relu, [-2, 0, 3])).toEqual([
      [0, 0, 3],
      [0, 0, 1],
    ]);
  });

  it('exp2 is a power of two and has the right gradient', () => {
    expectGradients(exp2, [normals([20], rng, 2)]);
    const xs = [-20, -1, 0, 0.5, 9.25, 60];
    const [y] = valueAndGradient(exp2, xs);
    for (const [i, x] of xs.entries()) expect(y[i] / 2 ** x).toBeCloseTo(1, 5);
  });
});

describe('mean', () => {
  it.each([0, 1, 2])('has the right value and gradient over axis %i', (axis) => {
    const shape = [2, 3, 4];
    const x = normals(shape, new Rng(5));
    expectGradients((t) => mean(t, axis), [x]);
    const y = tf.tidy(() => mean(tf.tensor(x.data, shape), axis));
    expect(y.shape).toEqual(shape.filter((_, i) => i !== axis));
    const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    for (const [n, value] of y.dataSync().entries()) {
      const first = Math.floor(n / stride) * stride * shape[axis] + (n % stride);
      const terms = Array.from({ length: shape[axis] }, (_, k) => x.data[first + k * stride]);
      expect(value).toBeCloseTo(terms.reduce((a, b) => a + b, 0) / shape[axis], 6);
    }
    y.dispose();
  });
});
