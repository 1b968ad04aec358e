/** @file Operations without operands, against tfjs's plain backend. */
import { expect, it } from 'vitest';
import { operationTests, random } from '../../../../test/support/cuda_lowering.js';
import { constantKernels } from '../../record/kernels/constants.js';

const { run, check } = operationTests(constantKernels, 1e-6);

it('Fill', () => {
  check('Fill', {}, { shape: [2, 3], value: 0.1, dtype: 'float32' });
  check('Fill', {}, { shape: [], value: Number.NaN, dtype: 'float32' });
  check('Fill', {}, { shape: [2], value: -7, dtype: 'int32' });
  check('Fill', {}, { shape: [2], value: 1, dtype: 'bool' });
  check('Fill', {}, { shape: [0], value: 1, dtype: 'float32' });
  expect(run('Fill', {}, { shape: [1], value: -0, dtype: 'float32' })[0].data).toEqual([-0]);
});

it.each(['ZerosLike', 'OnesLike'])('%s', (name) => {
  for (const dtype of ['float32', 'int32', 'bool'] as const) check(name, { x: random([2, 3], dtype) });
});

it('Range', () => {
  const range = (start: number, stop: number, step: number, dtype = 'float32') =>
    check('Range', {}, { start, stop, step, dtype });
  range(0, 10, 1);
  range(0, 1, 0.1);
  range(5, 0, -2);
  range(5, 0, 1);
  range(3, 20, 4, 'int32');
  range(2 ** 24, 2 ** 24 + 4, 1, 'int32');
  range(1, 1, 1);
});
