/** @file Tests of the engine's place among tfjs's backends. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { selectEngine } from '../index.js';
import { tf } from '../tfjs.js';

beforeAll(async () => {
  await selectEngine({ engine: 'onnx', device: 'cpu' });
});
afterAll(() => tf.setBackend('onnx'));

function numbersOf(tensor: tf.Tensor): number[] {
  const numbers = Array.from(tensor.dataSync());
  tensor.dispose();
  return numbers;
}

it('takes over a tensor that another backend has used, each time again, and frees it once', async () => {
  await tf.setBackend('onnx');
  const { numTensors } = tf.memory();
  const buffers = tf.engine().backend.numDataIds();
  const x = tf.tensor1d([1, 2]);
  for (let round = 1; round <= 3; round++) {
    await tf.setBackend('cpu');
    expect(numbersOf(x.add(round))).toEqual([1 + round, 2 + round]);
    await tf.setBackend('onnx');
    expect(numbersOf(x.mul(2))).toEqual([2, 4]);
  }
  x.dispose();
  expect(tf.memory().numTensors).toBe(numTensors);
  expect(tf.engine().backend.numDataIds()).toBe(buffers);
});
