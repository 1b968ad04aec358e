/** @file Convolutions as products of gathered neighbourhoods, all at once and line by line, against tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import { relativeError } from '../../../../test/golden/golden.js';
import { TEST_DEVICE } from '../../../../test/support/engine.js';
import { type KernelInput, runnerOf, uniform } from '../../../../test/support/run_kernel.js';
import { conv3d } from '../../../nn/conv3d.js';
import { selectEngine } from '../../index.js';
import { type ConvAttributes, countWindows, type Size3 } from '../../kernel_contract.js';
import { tf } from '../../tfjs.js';
import { conv3dKernels } from './conv_products.js';

const FORWARD = 1e-5;
const ONES: Size3 = [1, 1, 1];
const TILES = { forward: () => 3, filter: () => 2 };

/** Runs kernels of which each piece has so many floats. */
const runnerFor = (floats: number) =>
  runnerOf(Object.values(conv3dKernels({ chunkSize: (count) => floats / count, tiles: TILES })));

const tensorOf = ({ data, shape }: KernelInput) => tf.tensor(data, [...shape]);

/** The result of the plain backend, and the gradients of x and weight for dy. */
async function reference(
  [x, weight, ...rest]: readonly KernelInput[],
  dy: KernelInput,
  compute: (...inputs: tf.Tensor[]) => tf.Tensor,
) {
  await tf.setBackend('cpu');
  const results = tf.tidy(() => {
    const inputs = [x, weight, ...rest].map(tensorOf);
    const grads = tf.grads(compute)(inputs, tensorOf(dy));
    return [compute(...inputs), ...grads].map((tensor) => tensor.dataSync().slice() as Float32Array);
  });
  await tf.setBackend('onnx');
  return results;
}

/** Map, weight, stride and padding. */
const CASES: readonly [string, number[], number[], Size3, Size3][] = [
  ['1×1×1', [2, 2, 3, 2, 17], [4, 17, 1, 1, 1], ONES, [0, 0, 0]],
  ['1×1×1 with padding', [1, 2, 3, 2, 17], [4, 17, 1, 1, 1], ONES, [0, 1, 1]],
  ['1×1×1, stride 2', [2, 2, 5, 4, 17], [4, 17, 1, 1, 1], [1, 2, 2], [0, 0, 0]],
  ['1×3×3', [2, 2, 4, 5, 17], [4, 17, 1, 3, 3], ONES, [0, 1, 1]],
  ['1×3×3, stride 2, odd extents', [2, 2, 5, 7, 16], [3, 16, 1, 3, 3], [1, 2, 2], [0, 1, 1]],
  ['1×3×3, stride 2, even extents', [2, 2, 4, 6, 16], [3, 16, 1, 3, 3], [1, 2, 2], [0, 1, 1]],
  ['3×3×3', [2, 3, 4, 5, 6], [4, 6, 3, 3, 3], ONES, ONES],
  ['3×1×1', [2, 4, 2, 3, 16], [2, 16, 3, 1, 1], ONES, [1, 0, 0]],
  ['7×1×1, stride 4 along time', [1, 8, 2, 2, 16], [3, 16, 7, 1, 1], [4, 1, 1], [3, 0, 0]],
  ['2×2×2, stride 3, without padding', [1, 5, 7, 6, 16], [2, 16, 2, 2, 2], [3, 3, 3], [0, 0, 0]],
  ['5×7×7, stride 2, of few channels', [1, 4, 8, 6, 3], [2, 3, 5, 7, 7], [1, 2, 2], [2, 3, 3]],
  ['1×3×3 of eight channels', [2, 2, 4, 6, 8], [3, 8, 1, 3, 3], ONES, [0, 1, 1]],
  ['1×3×3, stride 2, of few channels', [2, 2, 4, 6, 2], [3, 2, 1, 3, 3], [1, 2, 2], [0, 1, 1]],
];

describe('convolutions as products', () => {
  beforeEach(async () => {
    await selectEngine({ engine: 'onnx', device: TEST_DEVICE, strict: true });
  });

  function operandsOf(map: number[], shape: number[], { stride, padding }: ConvAttributes) {
    const kernel = shape.slice(2) as unknown as Size3;
    const result = [map[0], ...countWindows(map, { kernel, stride, padding }), shape[0]];
    return {
      x: uniform(map, 1),
      weight: uniform(shape, 2),
      dy: uniform(result, 3),
      bias: uniform([shape[0]], 4),
      residual: uniform(result, 5),
    };
  }

  it.each(CASES)('have the right value and gradients: %s', async (_, map, shape, stride, padding) => {
    const geometry = { stride, padding };
    const { x, weight, dy } = operandsOf(map, shape, geometry);
    const expected = await reference([x, weight], dy, (a, w) => conv3d(a, w, geometry));
    // One line at a time, and all at once.
    for (const floats of [1, 2 ** 20]) {
      const run = runnerFor(floats);
      const kernel = shape.slice(2) as unknown as Size3;
      const actual = [
        run('Conv3d', { x, weight }, { ...geometry, relu: false }),
        run('Conv3dGradInput', { dy, weight }, { ...geometry, shape: map }),
        run('Conv3dGradFilter', { x, dy }, { ...geometry, kernel }),
      ];
      for (const [i, [values]] of actual.entries())
        expect(relativeError(values, expected[i]), `result ${i}, ${floats} floats`).toBeLessThan(FORWARD);
    }
  });

  it.each([3, 16])('add a bias and a residual, and end with a ReLU: %i channels', async (channels) => {
    const geometry = { stride: ONES, padding: [0, 1, 1] } as const;
    const { x, weight, dy, bias, residual } = operandsOf(
      [2, 2, 3, 4, channels],
      [5, channels, 1, 3, 3],
      geometry,
    );
    for (const relu of [false, true]) {
      const [expected] = await reference([x, weight, bias, residual], dy, (a, w, b, r) =>
        conv3d(a, w, { ...geometry, bias: b, residual: r, relu }),
      );
      const [y] = runnerFor(1)('Conv3d', { x, weight, bias, residual }, { ...geometry, relu });
      expect(relativeError(y, expected)).toBeLessThan(FORWARD);
    }
  });
});
