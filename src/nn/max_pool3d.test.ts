/** @file Maximum over windows: values against plain loops, and the place that each gradient goes to. */
import { describe, expect, it } from 'vitest';
import { expectGradients, values } from '../../test/support/finite_difference.js';
import { POOLING_CASES } from '../../test/support/pooling_cases.js';
import { countWindows } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { maxPool3d as doubleMaxPool } from '../engine_check/double_spatial.js';
import { sizeOf } from '../formats/host_tensor.js';
import { Rng } from '../util/random.js';
import { maxPool3d } from './max_pool3d.js';
import { backward } from './tape.js';

describe('maxPool3d', () => {
  it.each(POOLING_CASES)('computes maxima and gradients: %s', (_, shape, pool) => {
    const rng = new Rng(3);
    // Few different values, so that many windows hold equal ones; all negative, so that padding would show.
    const x = Float32Array.from({ length: sizeOf(shape) }, () => -1 - rng.int(4));
    const result = [shape[0], ...countWindows(shape, pool), shape[4]];
    const dy = Float32Array.from({ length: sizeOf(result) }, () => rng.normal());
    const [maxima, gradient] = doubleMaxPool(x, dy, { shape, windows: pool });
    const input = tf.tensor(x, shape);
    const y = tf.tidy(() => maxPool3d(input, pool));
    expect(y.shape).toEqual(result);
    expect(Array.from(y.dataSync())).toEqual([...maxima]);
    const { value, grads } = backward(
      () => maxPool3d(input, pool).reshape([-1]).mul(tf.tensor1d(dy)).sum(),
      [input],
    );
    const dx = grads[0]!.dataSync();
    for (const [n, slope] of gradient.entries()) expect(dx[n]).toBeCloseTo(slope, 5);
    tf.dispose([input, y, value, ...grads.map((grad) => grad!)]);
  });
  it.each([
    [4, 2],
    [5, 3],
    [2, 7],
  ])('has the gradients of differences: 2×2 positions of %i×%i', (H, W) => {
    const shape = [2, 2, H, W, 2];
    // Distinct values 0.2 apart: no step of the gradient check changes which one is largest.
    const x = values(
      shape,
      new Rng(10).permutation(sizeOf(shape)).map((i) => 0.2 * i),
    );
    expectGradients((input) => maxPool3d(input, { kernel: [1, 2, 2] }), [x]);
  });

  it('gives the gradient to the first of equal values', () => {
    const x = tf.tensor([3, 3, 3, 3, 1, 5, 5, 5, 1, 1, 2, 2], [3, 1, 2, 2, 1]);
    const { value, grads } = backward(() => maxPool3d(x, { kernel: [1, 2, 2] }).sum() as tf.Scalar, [x]);
    expect(Array.from(grads[0]!.dataSync())).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    tf.dispose([x, value, grads[0]!]);
  });
});
