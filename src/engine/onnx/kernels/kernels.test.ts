/** @file Cases that tfjs's own tests (test/conformance) do not cover: convolutions against tfjs's plain backend, and edges. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { TEST_DEVICE } from '../../../../test/support/engine.js';
import { Rng } from '../../../util/random.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: TEST_DEVICE, strict: true });
});

beforeEach(async () => {
  await tf.setBackend('onnx');
});

const values = (compute: () => tf.Tensor) => Array.from(tf.tidy(() => compute().dataSync()));
const ints = (numbers: number[]) => tf.tensor1d(numbers, 'int32');
/** The same values, which the engine computes only when they are read. */
const pending = (x: tf.Tensor) => tf.mul(x, tf.scalar(1, 'int32'));

describe('conv3d', () => {
  type Size = [number, number, number];
  const cases: [strides: Size, pad: 'same' | 'valid' | number][] = [
    [[1, 1, 1], 'same'],
    [[2, 1, 3], 'same'],
    [[2, 3, 2], 'valid'],
    [[3, 2, 1], 1],
    // Wider than the kernel along one axis.
    [[1, 2, 1], 2],
  ];
  it.each(cases)('has the right value and gradients with strides %j and padding %j', async (strides, pad) => {
    const evaluate = () =>
      tf.tidy(() => {
        const rng = new Rng(1);
        const normals = (shape: number[]) =>
          tf.tensor(
            Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => rng.uniformBetween(-1, 1)),
            shape,
          );
        const [x, filter] = [normals([2, 5, 8, 7, 3]), normals([3, 2, 3, 3, 4])];
        const conv = (a: tf.Tensor, w: tf.Tensor) =>
          tf.conv3d(a as tf.Tensor5D, w as tf.Tensor5D, strides, pad as 'same');
        const y = conv(x, filter);
        const weights = normals(y.shape);
        const gradients = tf.grads((a, w) => tf.sum(tf.mul(conv(a, w), weights)))([x, filter]);
        return [y, ...gradients].map((tensor) => tensor.dataSync().slice() as Float32Array);
      });
    const actual = evaluate();
    await tf.setBackend('cpu');
    for (const [i, expected] of evaluate().entries())
      expect(relativeError(actual[i], expected)).toBeLessThan(1e-6);
  });

  it('pads nothing if `same` needs no padding, as TensorFlow does', () => {
    const run = (pad: 'same' | 'valid') =>
      values(() =>
        tf.conv3d(tf.range(0, 64).reshape([1, 4, 4, 4, 1]) as tf.Tensor5D, tf.ones([1, 1, 1, 1, 1]), 2, pad),
      );
    expect(run('same')).toEqual(run('valid'));
  });
});

it('divides the smallest integer by −1, and integers by 0, without ending the process', () => {
  const [a, b] = [ints([-(2 ** 31), 5, -7, -7]), ints([-1, 0, 2, -2])];
  expect(values(() => tf.floorDiv(a, b))).toEqual([-(2 ** 31), 0, -4, 3]);
});

it('computes sigmoids of large negative numbers precisely', () => {
  const x = [-60, -20, -9, 0, 20];
  const y = values(() => tf.sigmoid(tf.tensor1d(x)));
  // Vulkan allows an error of 3 + 2·|x| units in the last place of eˣ.
  const digits = TEST_DEVICE === 'gpu' ? 5 : 6;
  for (const [i, value] of y.entries()) expect(value * (1 + Math.exp(-x[i]))).toBeCloseTo(1, digits);
});

it('chooses between booleans', () => {
  const [yes, no] = [tf.tensor1d([true, false], 'bool'), tf.tensor1d([false, true], 'bool')];
  expect(values(() => tf.where(yes, no, yes))).toEqual([0, 0]);
  expect(values(() => tf.oneHot(ints([1]), 2, 1, 0, 'bool'))).toEqual([0, 1]);
});

it('leaves out rows whose ids are outside the segments', () => {
  const rows = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2], 'int32');
  const sums = values(() => tf.unsortedSegmentSum(rows, ints([1, 7, -1]), 2));
  expect(sums).toEqual([0, 0, 1, 2]);
});

// Nothing on a GPU can refuse an index: see webgpu/kernels.test.ts.
const refused = TEST_DEVICE === 'cpu' ? [-1, 2] : [];
if (refused.length > 0)
  it.each(refused)('refuses the index %i of two rows', (index) => {
    const table = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    expect(() => tf.gather(table, ints([index]))).toThrow(`index value ${index} is not in [0, 1]`);
    const places = tf.tensor2d([0, 1, index, 0], [2, 2], 'int32');
    expect(() => values(() => tf.gather(table, pending(ints([index]))))).toThrow(
      /out of data bounds.*GatherV2/s,
    );
    expect(() => values(() => tf.gather(table, pending(places), 1, 1))).toThrow(
      /out of data bounds.*GatherV2/s,
    );
    const scatter = () => tf.scatterND(pending(tf.tensor2d([index], [1, 1], 'int32')), tf.ones([1]), [2]);
    expect(() => values(scatter)).toThrow(/invalid indice.*ScatterNd/s);
  });
