/** @file Convolutions of maps and their gradients, against tfjs's plain backend. */
import { expect, it } from 'vitest';
import { operationTests, random } from '../../../../../test/support/cuda_lowering.js';
import { conv3dKernels } from '../../../record/kernels/conv3d.js';

const { run, check } = operationTests(conv3dKernels, 2e-6);

type Size = [number, number, number];
const X = [2, 3, 4, 3, 2];
const FILTER = [2, 2, 3, 2, 3];
const CASES: [strides: Size, pad: 'same' | 'valid' | number][] = [
  [[1, 1, 1], 'same'],
  [[2, 1, 3], 'same'],
  [[2, 3, 2], 'valid'],
  [[3, 2, 1], 1],
  // Wider than the kernel along one axis.
  [[1, 2, 1], 2],
];

it.each(CASES)('strides %j and padding %j', (strides, pad) => {
  const attributes = { strides, pad, dataFormat: 'NDHWC', dilations: 1 };
  const [x, filter] = [random(X), random(FILTER, 'float32', 2)];
  check('Conv3D', { x, filter }, attributes);
  const [{ shape }] = run('Conv3D', { x, filter }, attributes);
  const dy = random(shape, 'float32', 3);
  check('Conv3DBackpropInputV2', { dy, filter }, { ...attributes, inputShape: X });
  check('Conv3DBackpropFilterV2', { x, dy }, { ...attributes, filterShape: FILTER });
});

it('dilations', () => {
  const attributes = { strides: 1, pad: 'valid', dataFormat: 'NDHWC', dilations: [1, 2, 1] };
  check('Conv3D', { x: random(X), filter: random(FILTER, 'float32', 2) }, attributes);
});

it('leaves infinite weights out that padding meets', () => {
  const [x, filter] = [random([1, 1, 1, 1, 1]), random([1, 1, 3, 1, 1])];
  const wild = { ...filter, data: [Number.POSITIVE_INFINITY, 2, Number.NaN] };
  check('Conv3D', { x, filter: wild }, { strides: 1, pad: 'same', dataFormat: 'NDHWC', dilations: 1 });
});

it('has no elements for an empty batch', () => {
  const given = { x: random([0, 3, 4, 3, 2]), filter: random(FILTER) };
  const [result] = run('Conv3D', given, { strides: 1, pad: 'same', dilations: 1 });
  expect(result).toMatchObject({ shape: [0, 3, 4, 3, 3], data: [] });
});
