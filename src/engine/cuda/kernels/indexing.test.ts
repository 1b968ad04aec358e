/** @file Gather and one-hot vectors, against tfjs's plain backend. */
import { describe, expect, it } from 'vitest';
import { floats, ints, operationTests, random } from '../../../../test/support/cuda_lowering.js';
import { indexingKernels } from '../../record/kernels/indexing.js';

const { run, check } = operationTests(indexingKernels, 0);

describe('GatherV2', () => {
  it.each([0, 1, 2])('along axis %i', (axis) => {
    for (const dtype of ['float32', 'int32', 'bool'] as const) {
      const x = random([3, 3, 3], dtype);
      check('GatherV2', { x, indices: ints([4], [2, 0, 1, 2]) }, { axis });
      check('GatherV2', { x, indices: ints([2, 2], [2, 0, 1, 2]) }, { axis });
      check('GatherV2', { x, indices: ints([0], []) }, { axis });
    }
  });

  it('has batch axes', () => {
    const x = random([2, 3, 4, 2]);
    check('GatherV2', { x, indices: ints([2, 2], [1, 0, 2, 1]) }, { axis: 1, batchDims: 1 });
    check('GatherV2', { x, indices: ints([2, 2], [1, 0, 3, 1]) }, { axis: 2, batchDims: 1 });
    check('GatherV2', { x, indices: ints([2, 3, 1], [1, 0, 3, 1, 2, 3]) }, { axis: 2, batchDims: 2 });
  });

  it('gives NaN or 0 for indices out of range', () => {
    const indices = ints([4], [-1, 1, 2, 2 ** 31 - 1]);
    const [{ data }] = run('GatherV2', { x: floats([2, 1], [5, 6]), indices }, { axis: 0 });
    expect(data).toEqual([Number.NaN, 6, Number.NaN, Number.NaN]);
    const [whole] = run('GatherV2', { x: ints([2, 1], [5, 6]), indices }, { axis: 0 });
    expect(whole.data).toEqual([0, 6, 0, 0]);
    const [none] = run('GatherV2', { x: floats([0, 1], []), indices: ints([1], [0]) }, { axis: 0 });
    expect(none.data).toEqual([Number.NaN]);
  });
});

it.each(['float32', 'int32'] as const)('OneHot of %s', (dtype) => {
  const attributes = { depth: 3, onValue: 2, offValue: -1, dtype };
  check('OneHot', { indices: ints([2, 2], [0, 2, -1, 3]) }, attributes);
  check('OneHot', { indices: ints([], [1]) }, attributes);
  check('OneHot', { indices: ints([0], []) }, attributes);
});

it('OneHot of booleans', () => {
  const attributes = { depth: 3, onValue: 1, offValue: 0, dtype: 'bool' };
  expect(run('OneHot', { indices: ints([1], [1]) }, attributes)[0]).toMatchObject({
    dtype: 'bool',
    data: [0, 1, 0],
  });
});
