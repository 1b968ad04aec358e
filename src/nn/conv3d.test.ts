/** @file Convolutions of any geometry: values against plain loops, gradients by finite differences. */
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, type Values } from '../../test/support/finite_difference.js';
import type { Size3 } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { type Conv3dOptions, conv3d } from './conv3d.js';

interface Geometry {
  readonly stride: Size3;
  readonly padding: Size3;
  readonly dilation: Size3;
  readonly groups: number;
}

/** The convolution, position by position, with the shape of its result. */
function reference(x: Values, weight: Values, { stride, padding, dilation, groups }: Geometry) {
  const [B, T, H, W, C] = x.shape;
  const [O, I, ...kernel] = weight.shape;
  const extents = [T, H, W].map(
    (extent, i) => Math.floor((extent + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1,
  );
  const shape = [B, ...extents, O];
  const data: number[] = [];
  const at = (dims: readonly number[], index: readonly number[]) =>
    index.reduce((n, i, axis) => n * dims[axis] + i, 0);
  for (let n = 0; n < shape.reduce((a, b) => a * b); n++) {
    const o = n % O;
    const position = Math.floor(n / O);
    const w = position % extents[2];
    const h = Math.floor(position / extents[2]) % extents[1];
    const t = Math.floor(position / (extents[2] * extents[1])) % extents[0];
    const b = Math.floor(position / (extents[2] * extents[1] * extents[0]));
    const group = Math.floor(o / (O / groups));
    let sum = 0;
    for (let i = 0; i < kernel[0]; i++)
      for (let j = 0; j < kernel[1]; j++)
        for (let k = 0; k < kernel[2]; k++) {
          const source = [t, h, w].map(
            (place, a) => place * stride[a] - padding[a] + [i, j, k][a] * dilation[a],
          );
          if (source.some((place, a) => place < 0 || place >= [T, H, W][a])) continue;
          for (let c = 0; c < I; c++)
            sum +=
              x.data[at(x.shape, [b, ...source, group * I + c])] *
              weight.data[at(weight.shape, [o, c, i, j, k])];
        }
    data.push(sum);
  }
  expect(C).toBe(I * groups);
  return { shape, data };
}

const plain: Geometry = { stride: [1, 1, 1], padding: [0, 0, 0], dilation: [1, 1, 1], groups: 1 };

/** Input, weight and geometry. */
const CASES: readonly [string, number[], number[], Partial<Geometry>][] = [
  ['1×1×1', [2, 2, 3, 2, 3], [4, 3, 1, 1, 1], {}],
  ['1×1×1, stride 2', [1, 2, 5, 4, 3], [4, 3, 1, 1, 1], { stride: [1, 2, 2] }],
  ['1×3×3', [2, 2, 4, 5, 3], [4, 3, 1, 3, 3], { padding: [0, 1, 1] }],
  ['1×3×3, stride 2, odd sizes', [1, 2, 5, 7, 2], [3, 2, 1, 3, 3], { padding: [0, 1, 1], stride: [1, 2, 2] }],
  [
    '1×3×3, stride 2, even sizes',
    [1, 2, 4, 6, 2],
    [3, 2, 1, 3, 3],
    { padding: [0, 1, 1], stride: [1, 2, 2] },
  ],
  ['3×1×1', [2, 4, 2, 3, 3], [2, 3, 3, 1, 1], { padding: [1, 0, 0] }],
  ['3×1×1, one frame', [1, 1, 2, 3, 3], [2, 3, 3, 1, 1], { padding: [1, 0, 0] }],
  ['3×3×3', [2, 3, 2, 4, 2], [3, 2, 3, 3, 3], { padding: [1, 1, 1] }],
  ['3×3×3, one time step, one row', [1, 1, 1, 3, 2], [3, 2, 3, 3, 3], { padding: [1, 1, 1] }],
  ['3×3×3, stride 2', [1, 3, 5, 4, 2], [2, 2, 3, 3, 3], { padding: [1, 1, 1], stride: [1, 2, 2] }],
  ['7×1×1, stride 4 along time', [1, 8, 2, 2, 2], [3, 2, 7, 1, 1], { padding: [3, 0, 0], stride: [4, 1, 1] }],
  ['1×7×7, stride 2', [1, 2, 9, 8, 3], [2, 3, 1, 7, 7], { padding: [0, 3, 3], stride: [1, 2, 2] }],
  ['5×7×7, stride 2', [1, 4, 8, 6, 3], [2, 3, 5, 7, 7], { padding: [2, 3, 3], stride: [1, 2, 2] }],
  ['dilation 2', [1, 2, 6, 5, 2], [3, 2, 1, 3, 3], { padding: [0, 2, 2], dilation: [1, 2, 2] }],
  [
    'dilation 2, stride 2',
    [1, 2, 7, 6, 2],
    [3, 2, 1, 3, 3],
    { padding: [0, 2, 2], dilation: [1, 2, 2], stride: [1, 2, 2] },
  ],
  ['two groups', [1, 2, 4, 3, 4], [6, 2, 1, 3, 3], { padding: [0, 1, 1], groups: 2 }],
];

describe('conv3d', () => {
  it.each(CASES)('computes values and gradients: %s', (_, shape, kernel, geometry) => {
    const rng = new Rng(7);
    const [x, weight] = [normals(shape, rng), normals(kernel, rng)];
    const whole = { ...plain, ...geometry };
    const expected = reference(x, weight, whole);
    const convolve = (input: tf.Tensor, w: tf.Tensor) => conv3d(input, w, geometry);
    const y = tf.tidy(() => convolve(tf.tensor(x.data, x.shape), tf.tensor(weight.data, weight.shape)));
    expect(y.shape).toEqual(expected.shape);
    for (const [n, value] of y.dataSync().entries()) expect(value).toBeCloseTo(expected.data[n], 4);
    y.dispose();
    expectGradients(convolve, [x, weight]);
  });

  it.each([1, 2])('adds a bias and a residual, and ends with a ReLU: %d group(s)', (groups) => {
    const rng = new Rng(8);
    const [x, weight] = [normals([2, 1, 3, 2, 4], rng), normals([4, 4 / groups, 1, 1, 1], rng)];
    const [bias, residual] = [normals([4], rng), normals([2, 1, 3, 2, 4], rng)];
    const { data } = reference(x, weight, { ...plain, groups });
    const compute = (relu: boolean) => (input: tf.Tensor, w: tf.Tensor, b: tf.Tensor, r: tf.Tensor) => {
      const options: Conv3dOptions = { groups, bias: b, residual: r, relu };
      return conv3d(input, w, options);
    };
    const inputs = [x, weight, bias, residual];
    const [sum, y] = tf.tidy(() => {
      const [a, b, c, d] = inputs.map((value) => tf.tensor(value.data, value.shape));
      return [compute(false)(a, b, c, d), compute(true)(a, b, c, d)];
    });
    const sums = Array.from(data, (value, n) => value + bias.data[n % 4] + residual.data[n]);
    for (const [n, value] of sum.dataSync().entries()) expect(value).toBeCloseTo(sums[n], 4);
    for (const [n, value] of y.dataSync().entries()) expect(value).toBeCloseTo(Math.max(0, sums[n]), 4);
    tf.dispose([sum, y]);
    expectGradients(compute(false), inputs);
    expect(Math.min(...sums.map(Math.abs)), 'distance from the kink').toBeGreaterThan(0.01);
    expectGradients(compute(true), inputs, { step: 5e-4, tolerance: 2e-2 });
  });
});
