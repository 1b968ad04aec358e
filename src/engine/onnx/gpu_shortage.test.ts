/** @file The provider's messages about missing memory become sentences that name the size of a buffer. */
import { expect, it } from 'vitest';
import { gpuShortage } from './gpu_shortage.js';
import type { OnnxGraph } from './model_format.js';

const node = { domain: '', attributes: {} };
/** y = exp(x) + c for x of 1 KiB and c of 64 KiB. */
const graph: OnnxGraph = {
  inputs: [
    { name: 'x', type: 'float32', shape: [1, 256] },
    { name: 'c', type: 'float32', shape: [64, 256] },
  ],
  constants: [],
  nodes: [
    { ...node, name: 'n0', op: 'Exp', inputs: ['x'], outputs: ['e'] },
    { ...node, name: 'n1', op: 'Add', inputs: ['e', 'c'], outputs: ['y'] },
  ],
  outputs: [{ name: 'y', type: 'float32', shape: [64, 256] }],
};
const INVALID = '[Invalid Buffer (unlabeled)] is invalid. - While validating [BindGroupDescriptor';

it.each([
  [
    `${INVALID} ""Exp""]`,
    'the GPU has no memory left: a buffer of up to 1.0 KiB could not be allocated for Exp',
  ],
  [
    `${INVALID} ""Add""]`,
    'the GPU has no memory left: a buffer of up to 64.0 KiB could not be allocated for Add',
  ],
  // The provider may name a program that is no operator of the graph.
  [
    `${INVALID} ""Split""]`,
    'the GPU has no memory left: a buffer of up to 64.0 KiB could not be allocated for Split',
  ],
  [`${INVALID}]`, 'the GPU has no memory left: a buffer of up to 64.0 KiB could not be allocated'],
  [
    'Too many storage buffers in shader',
    'tensors of 64.0 KiB are more than this GPU can bind at a time: Too many storage buffers in shader',
  ],
  ['some other error', null],
])('explains: %s', (message, expected) => {
  expect(gpuShortage(new Error(message), () => graph)).toBe(expected);
});
