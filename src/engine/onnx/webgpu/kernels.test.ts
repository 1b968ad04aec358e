/** @file Kernels on a GPU: NaN stays NaN, and indices out of range do no harm. */
import { beforeAll, expect, it } from 'vitest';
import { describeOnGpu } from '../../../../test/support/gpu.js';
import { runKernel, uniform } from '../../../../test/support/run_kernel.js';
import { selectEngine } from '../../index.js';
import { tf } from '../../tfjs.js';

const values = (compute: () => tf.Tensor) => Array.from(tf.tidy(() => compute().dataSync()));

describeOnGpu('a kernel on a GPU', () => {
  beforeAll(async () => {
    await selectEngine({ engine: 'onnx', device: 'gpu', strict: true });
  });

  it.each<[string, (x: tf.Tensor1D) => tf.Tensor]>([
    ['relu', (x) => x.relu()],
    ['softmax', (x) => x.softmax()],
    ['max', (x) => x.max()],
    ['sum', (x) => x.sum()],
    ['maximum', (x) => x.maximum(tf.scalar(2))],
    ['minimum', (x) => x.minimum(tf.scalar(2))],
    ['matMul', (x) => tf.matMul(x.reshape([1, 3]), tf.ones([3, 2]))],
    ['step', (x) => x.step()],
  ])('keeps NaN in %s', (_, f) => {
    const result = values(() => f(tf.tensor1d([1, Number.NaN, 3])));
    expect(result.some(Number.isNaN)).toBe(true);
  });

  it('keeps the numbers beside NaN in relu, and infinities', () => {
    const x = tf.tensor1d([Number.NaN, -1, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect(values(() => x.relu())).toEqual([Number.NaN, 0, 2, Number.POSITIVE_INFINITY, 0]);
    x.dispose();
  });

  it.each([0, 1, 2])(
    'passes NaN in part %i of the projections on through attention and its gradient',
    (part) => {
      const [B, N, H, D] = [1, 4, 2, 4];
      const qkv = uniform([B, N, 3 * H * D], 1);
      // A query, key or value of the second head and the third token.
      qkv.data[2 * 3 * H * D + part * H * D + D] = Number.NaN;
      const dy = uniform([B, N, H * D], 2);
      const attributes = { heads: H, scale: 0.5 };
      const [out] = runKernel('SelfAttention', { qkv }, attributes);
      const [dqkv] = runKernel(
        'SelfAttentionGrad',
        { qkv, dy, out: { shape: dy.shape, data: out } },
        attributes,
      );
      for (const result of [out, dqkv]) {
        expect(result.some(Number.isNaN)).toBe(true);
        expect(result.some(Number.isFinite)).toBe(true);
      }
    },
  );

  it('counts an index out of range as the nearest one, and leaves out what is scattered there', () => {
    const table = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    // The host does not know the result of an addition.
    const index = (numbers: number[]) => tf.tensor1d(numbers, 'int32').add(tf.scalar(0, 'int32'));
    expect(values(() => tf.gather(table, index([-1, 5]) as tf.Tensor1D))).toEqual([1, 2, 3, 4]);
    expect(values(() => tf.gather(table, index([0, 1, 7, -2]).reshape([2, 2]), 1, 1))).toEqual([1, 2, 4, 3]);
    const updates = tf.tensor1d([1, 2, 3]);
    expect(values(() => tf.scatterND(index([-1, 2, 1]).reshape([3, 1]), updates, [2]))).toEqual([0, 3]);
    tf.dispose([table, updates]);
  });
});
