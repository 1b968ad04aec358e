/** @file Memory as the log shows it. */
import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { engineMemory } from './index.js';

it('counts living tensors and their bytes, and the process', () => {
  const before = engineMemory();
  const tensor = tf.ones([1000]);
  const during = engineMemory();
  expect(during.tensors).toBe(before.tensors + 1);
  expect(during.bytes).toBe(before.bytes + 4000);
  tensor.dispose();
  expect(engineMemory().bytes).toBe(before.bytes);
  expect(during.rssBytes).toBeGreaterThan(2 ** 25);
  expect(during.peakBytes).toBeGreaterThan(2 ** 25);
  expect(during).not.toHaveProperty('gpuBytes');
});
