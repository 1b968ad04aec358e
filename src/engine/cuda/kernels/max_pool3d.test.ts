/** @file Maxima of windows and their gradients, evaluated on the host, against their composition on tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  expectClose,
  lowerFused,
  type Operand,
  reference,
  uniform,
} from '../../../../test/support/lowered.js';
import { POOLING_CASES } from '../../../../test/support/pooling_cases.js';
import { maxPool3d } from '../../../nn/max_pool3d.js';
import { tf } from '../../tfjs.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

describe('maxima of windows', () => {
  it.each(POOLING_CASES)('have the right value and gradient: %s', (_, shape, pool) => {
    const noise = uniform(shape, 1);
    // Few different values, so that many windows hold equal ones; all negative, so that padding would show.
    const x: Operand = { ...noise, data: noise.data.map((value) => Math.floor(2 * value) - 2) };
    const compute = (a: tf.Tensor) => maxPool3d(a, pool);
    const { outputs } = lowerFused('MaxPool3d', { x }, pool);
    const dy = uniform(outputs[0].shape, 2);
    const [data, dx] = reference([x], dy, compute);
    expect(lowerFused('MaxPool3d', { x }, pool).values()).toEqual([Float64Array.from(data)]);
    const y: Operand = { ...dy, data };
    expectClose(lowerFused('MaxPool3dGrad', { dy, x, y }, pool).values(), [dx]);
  });

  it('are stored as the map is, and gradients as that of the maxima', () => {
    const pool = { kernel: [1, 2, 2], stride: [1, 2, 2], padding: [0, 0, 0] };
    const x: Operand = { ...uniform([1, 1, 4, 4, 2], 1), storage: 'bfloat16' };
    const [y, dy] = [2, 3].map(
      (seed): Operand => ({ ...uniform([1, 1, 2, 2, 2], seed), storage: 'bfloat16' }),
    );
    const storageOf = ({ results }: ReturnType<typeof lowerFused>) => results[0].tensor.storage;
    expect(storageOf(lowerFused('MaxPool3d', { x }, pool))).toBe('bfloat16');
    expect(storageOf(lowerFused('MaxPool3dGrad', { dy, x, y }, pool))).toBe('bfloat16');
  });
});
