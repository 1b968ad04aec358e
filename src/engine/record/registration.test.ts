/** @file tfjs calls the kernels of a recording backend, and those that it lacks throw. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tf } from '../tfjs.js';
import { RecordingBackend } from './backend.js';
import { elementwiseKernels } from './kernels/elementwise.js';
import { shapeKernels } from './kernels/shape.js';
import { registerKernels } from './registration.js';
import type { EngineTensor } from './tensor.js';

const NAME = 'recording';

/** A tensor without content, because nothing is computed here. */
const nothing: EngineTensor = {
  read: () => new Float32Array(),
  readAsync: async () => new Float32Array(),
  peek: () => null,
  write() {},
  lend() {},
  release() {},
};
const backend = new RecordingBackend({
  engine: 'test',
  tensors: { allocate: () => nothing },
  compiler: {
    compile: () => {
      throw new Error('nothing is computed');
    },
  },
  fusedKernels: new Set(),
  lanes: 1,
  graph: {},
});

beforeAll(async () => {
  tf.registerBackend(NAME, () => backend);
  const tfjs = [elementwiseKernels.Neg, elementwiseKernels.Add, shapeKernels.SplitV];
  registerKernels(NAME, { tfjs, fused: [] });
  await tf.setBackend(NAME);
});
afterAll(() => {
  for (const { kernelName } of tf.getKernelsForBackend(NAME)) tf.unregisterKernel(kernelName, NAME);
  tf.removeBackend(NAME);
});

it('records kernels with the shapes of their results', () => {
  const recorded = backend.statistics.recorded;
  const sum = tf.add(tf.ones([2, 1]), tf.neg(tf.ones([3])));
  expect(sum.shape).toEqual([2, 3]);
  expect(backend.statistics.recorded).toBe(recorded + 2);
});

it('returns a list for one part, and records no operation for a view', () => {
  const recorded = backend.statistics.recorded;
  const [part] = tf.split(tf.ones([4, 2]), 1);
  expect(part.shape).toEqual([4, 2]);
  const before = backend.numDataIds();
  expect(part.reshape([-1]).shape).toEqual([8]);
  expect(backend.numDataIds()).toBe(before);
  expect(backend.statistics.recorded).toBe(recorded + 1);
});

it('names its engine where it lacks a kernel, and refuses types that it lacks', () => {
  expect(() => tf.asinh(tf.ones([1]))).toThrow('the test engine has no kernel Asinh, which tf.asinh');
  expect(() => tf.tensor1d(['text']).clone()).toThrow('no tensors of type string');
});
