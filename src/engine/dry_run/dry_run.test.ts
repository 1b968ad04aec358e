/** @file Tests of the engine that only counts. */
import { expect, it } from 'vitest';
import { tf } from '../tfjs.js';
import { blankTensor, dryRun } from './dry_run.js';

it('counts tensors and the fullest moment, and makes the engine before it current again', async () => {
  await tf.setBackend('cpu');
  const moments = await dryRun(async (counter) => {
    const x = blankTensor([64, 256]);
    const before = counter.now.bytes;
    const y = tf.tidy(() => x.square().sum());
    expect(await y.data()).toHaveLength(1);
    const { fullest } = counter;
    tf.dispose([x, y]);
    return { before, fullest: fullest.bytes, after: counter.now.bytes };
  });
  expect(moments).toEqual({ before: 65_536, fullest: 2 * 65_536 + 4, after: 0 });
  expect(tf.getBackend()).toBe('cpu');
  expect(tf.memory().numTensors).toBe(0);
});

it('makes the engine before it current again after an error', async () => {
  await tf.setBackend('cpu');
  const failing = dryRun(async () => {
    throw new Error('broken');
  });
  await expect(failing).rejects.toThrow('broken');
  expect(tf.getBackend()).toBe('cpu');
});

it('infers for every result the size that the kernel recorded', async () => {
  await dryRun(async () => {
    const x = tf.randomNormal([2, 4, 6, 6, 8]);
    const filter = tf.randomNormal([3, 3, 3, 8, 4]);
    const y = tf.tidy(() => {
      const conv = tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, 2, 'same');
      return tf
        .softmax(conv.reshape([-1, 4]))
        .pad([
          [0, 0],
          [1, 2],
        ])
        .transpose()
        .slice([1, 0], [2, -1]);
    });
    expect(await y.data()).toHaveLength(y.size);
    tf.dispose([x, filter, y]);
  });
});
