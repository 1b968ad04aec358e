/** @file Reductions and softmax, against tfjs's plain backend. */
import { describe, expect, it } from 'vitest';
import { bools, floats, operationTests, random } from '../../../../test/support/cuda_lowering.js';
import { reduceKernels } from '../../record/kernels/reduce.js';

const { run, check } = operationTests(reduceKernels, 3e-6);

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const AXES = [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2], [-1]];

describe.each(['Sum', 'Mean', 'Max'])('%s', (name) => {
  const key = name === 'Max' ? 'reductionIndices' : 'axis';

  it.each(AXES)('over axes', (...axes) => {
    for (const keepDims of [false, true]) {
      check(name, { x: random([2, 3, 4]) }, { [key]: axes, keepDims });
      if (name !== 'Mean') check(name, { x: random([2, 3, 4], 'int32') }, { [key]: axes, keepDims });
    }
  });

  it('of a scalar, and over axes of length 1', () => {
    check(name, { x: random([]) }, { [key]: [] });
    check(name, { x: random([1, 3]) }, { [key]: [0] });
  });

  it('of so many elements that they are reduced in parts', () => {
    check(name, { x: random([1000]) }, { [key]: [0] });
    check(name, { x: random([3, 1000]) }, { [key]: [1] });
    check(name, { x: random([1000, 3]) }, { [key]: [0] });
    const negative = floats(
      [300],
      Array.from({ length: 300 }, (_, i) => -1 - i),
    );
    check(name, { x: negative }, { [key]: [0] });
  });

  it('keeps NaN and infinities', () => {
    for (const numbers of [
      [1, nan, 3],
      [1, inf, 3],
      [-inf, -inf, -inf],
      [inf, -inf, 1],
    ])
      check(name, { x: floats([3], numbers) }, { [key]: [0] });
  });

  it('gives no elements for no rows', () => {
    expect(run(name, { x: random([0, 3]) }, { [key]: [1] })[0]).toMatchObject({ shape: [0], data: [] });
  });
});

it('reduces no elements to 0, NaN or −∞', () => {
  const x = random([2, 0]);
  expect(run('Sum', { x }, { axis: [1] })[0].data).toEqual([0, 0]);
  expect(run('Mean', { x }, { axis: [1] })[0].data).toEqual([nan, nan]);
  expect(run('Max', { x }, { reductionIndices: [1] })[0].data).toEqual([-inf, -inf]);
});

it('computes with booleans as 0 and 1', () => {
  const x = bools([2, 3], [0, 1, 1, 0, 0, 0]);
  expect(run('Max', { x }, { reductionIndices: [1] })[0]).toMatchObject({ dtype: 'bool', data: [1, 0] });
  const [mean] = run('Mean', { x }, { axis: [1] });
  expect(mean).toMatchObject({ dtype: 'float32', data: [Math.fround(2 / 3), 0] });
});

describe('ArgMax', () => {
  it.each([0, 1, 2])('along axis %i', (axis) => {
    check('ArgMax', { x: random([3, 4, 5]) }, { axis });
    check('ArgMax', { x: random([3, 4, 5], 'int32') }, { axis });
    check('ArgMax', { x: random([3, 4, 5], 'bool') }, { axis });
  });

  it('finds the first maximum, which is never NaN', () => {
    check('ArgMax', { x: floats([5], [1, 3, 2, 3, 3]) }, { axis: 0 });
    check('ArgMax', { x: floats([3], [-inf, -inf, -inf]) }, { axis: 0 });
    expect(run('ArgMax', { x: floats([4], [nan, 1, nan, 2]) }, { axis: 0 })[0].data).toEqual([3]);
    check('ArgMax', { x: random([500]) }, { axis: 0 });
  });
});

describe('Softmax', () => {
  it.each([[[5]], [[3, 4]], [[2, 3, 1]], [[2, 300]]])('of shape %j', (shape) => {
    check('Softmax', { logits: random(shape) }, { dim: -1 });
  });

  it('of large and of special numbers', () => {
    for (const numbers of [
      [1000, 1001, 999],
      [-1000, 0, -inf],
      [nan, 1, 2],
      [-inf, -inf, -inf],
      [inf, 1, 2],
    ])
      check('Softmax', { logits: floats([3], numbers) }, { dim: -1 });
  });

  it('of no elements', () => {
    for (const shape of [
      [0, 3],
      [3, 0],
    ])
      expect(run('Softmax', { logits: random(shape) }, { dim: -1 })[0]).toMatchObject({ shape, data: [] });
  });
});
