/** @file Maximum over windows: values against plain loops, and the place that each gradient goes to. */
import { describe, expect, it } from 'vitest';
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
});
