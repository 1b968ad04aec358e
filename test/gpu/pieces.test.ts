/** @file Kernels that compute in pieces on a GPU give the same values and gradients however small the pieces are. */
import { expect, it, vi } from 'vitest';
import { tf } from '../../src/engine/tfjs.js';
import { selfAttention } from '../../src/nn/attention.js';
import { conv3d } from '../../src/nn/conv3d.js';
import { weightedRowSum } from '../../src/nn/spatial.js';
import { backward } from '../../src/nn/tape.js';
import { Rng } from '../../src/util/random.js';
import { relativeError } from '../golden/golden.js';

/** Numbers in a piece. */
const piece = vi.hoisted(() => ({ size: 0 }));
vi.mock('../../src/engine/onnx/webgpu/limits.js', () => ({
  itemsPerPiece: (floats: number) => Math.max(1, Math.floor(piece.size / floats)),
}));

type Layer = (...inputs: tf.Tensor[]) => tf.Tensor;

/** The layer's value and the gradients of a weighted sum of it, on one backend. */
async function evaluate(backend: string, layer: Layer, shapes: readonly number[][]): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  const rng = new Rng(6);
  const random = (shape: readonly number[]) =>
    tf.tensor(
      Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => rng.normal()),
      [...shape],
    );
  const inputs = shapes.map(random);
  let value: tf.Tensor | undefined;
  const { grads, value: loss } = backward(() => {
    const y = layer(...inputs);
    value = tf.keep(y.clone());
    return y.mul(random(y.shape)).sum() as tf.Scalar;
  }, inputs);
  const results = [value, ...grads].map((tensor) => tensor?.dataSync().slice() as Float32Array);
  tf.dispose([...inputs, loss, value as tf.Tensor, ...(grads as tf.Tensor[])]);
  return results;
}

async function expectSame(layer: Layer, shapes: readonly number[][]): Promise<void> {
  const expected = await evaluate('cpu', layer, shapes);
  const actual = await evaluate('onnx', layer, shapes);
  for (const [i, numbers] of actual.entries())
    expect(relativeError(numbers, expected[i]), `result ${i}`).toBeLessThan(1e-5);
}

// The shapes of the cases differ, because an executable is compiled only once for a shape.
const sizes: [name: string, size: number, batch: number][] = [
  ['the smallest ones', 1, 1],
  ['some heads, tiles or samples', 1200, 2],
  ['everything at once', 1e6, 3],
];

it.each(sizes)('attends in pieces of %s', async (_, size, B) => {
  piece.size = size / 12;
  const [H, N, D] = [3, 7, 4];
  const attributes = { scale: 0.5 };
  await expectSame((qkv) => selfAttention(qkv, H, attributes), [[B, N, 3 * H * D]]);
  const kept = Array.from({ length: B * H * N * N }, (_, i) => Number(i % 5 > 0) / 0.8);
  const mask = () => tf.tensor(kept, [B * H, N, N]);
  const masked: Layer = (qkv, bias) => selfAttention(qkv, H, { ...attributes, bias, mask: mask() });
  await expectSame(masked, [
    [B, N, 3 * H * D],
    [B * H, N, N],
  ]);
});

it.each(sizes)('convolves in pieces of %s', async (_, size, B) => {
  piece.size = size;
  await expectSame(
    (x, weight) => conv3d(x, weight, { padding: [1, 1, 1] }),
    [
      [B, 3, 5, 6, 3],
      [4, 3, 3, 3, 3],
    ],
  );
});

it.each(sizes)('sums weighted rows in pieces of %s', async (_, size, B) => {
  piece.size = size / 12;
  const [R, D, N, K] = [9, 6, 10 * B, 4];
  const rng = new Rng(7);
  const places = Int32Array.from({ length: N * K }, () => rng.int(R));
  const index = () => tf.tensor2d(places, [N, K], 'int32');
  await expectSame(
    (table, weight) => weightedRowSum(table, index(), weight),
    [
      [R, D],
      [N, K],
    ],
  );
});
