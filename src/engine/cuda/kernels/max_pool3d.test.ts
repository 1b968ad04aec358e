/** @file Maxima of windows and their gradients, evaluated on the host, against their composition on tfjs's plain backend. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  expectClose,
  lowerFused,
  type Operand,
  reference,
  uniform,
} from '../../../../test/support/lowered.js';
import { maxPool3d } from '../../../nn/max_pool3d.js';
import type { PoolAttributes } from '../../kernel_contract.js';
import { tf } from '../../tfjs.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

const CASES: readonly [string, number[], PoolAttributes][] = [
  [
    '1×3×3, stride 2, padding 1, odd extents',
    [2, 2, 7, 5, 3],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  [
    '1×3×3, stride 2, padding 1, even extents',
    [1, 1, 6, 8, 4],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  ['4×1×1', [1, 8, 2, 3, 2], { kernel: [4, 1, 1], stride: [4, 1, 1], padding: [0, 0, 0] }],
  ['2×2×2 with a remainder', [1, 5, 3, 4, 2], { kernel: [2, 2, 2], stride: [2, 2, 2], padding: [0, 0, 0] }],
  ['stride 1', [1, 3, 4, 4, 1], { kernel: [3, 2, 3], stride: [1, 1, 1], padding: [1, 0, 1] }],
  [
    'a stride beyond the kernel',
    [1, 5, 7, 8, 2],
    { kernel: [1, 2, 1], stride: [2, 3, 3], padding: [0, 0, 0] },
  ],
];

describe('maxima of windows', () => {
  it.each(CASES)('have the right value and gradient: %s', (_, shape, pool) => {
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
