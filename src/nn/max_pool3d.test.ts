/** @file Maximum over windows: values against plain loops, and the place that each gradient goes to. */
import { describe, expect, it } from 'vitest';
import type { PoolAttributes } from '../engine/kernel_contract.js';
import { tf } from '../engine/tfjs.js';
import { sizeOf } from '../formats/host_tensor.js';
import { Rng } from '../util/random.js';
import { maxPool3d } from './max_pool3d.js';
import { backward } from './tape.js';

/** Maxima of all windows of one map, and the gradient of `dy` at their first places. */
function reference(
  shape: number[],
  x: Float32Array,
  { kernel, stride, padding }: PoolAttributes,
  dy: Float32Array,
) {
  const [B, T, H, W, C] = shape;
  const count = [T, H, W].map((n, i) => Math.floor((n + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
  const y: number[] = [];
  const dx = new Float32Array(x.length);
  for (let n = 0; n < B * sizeOf(count) * C; n++) {
    const c = n % C;
    const [b, ...at] = [
      Math.floor(n / (C * sizeOf(count))),
      Math.floor(n / (C * count[2] * count[1])) % count[0],
      Math.floor(n / (C * count[2])) % count[1],
      Math.floor(n / C) % count[2],
    ];
    let best = -1;
    for (let k = 0; k < sizeOf(kernel); k++) {
      const tap = [
        Math.floor(k / (kernel[1] * kernel[2])),
        Math.floor(k / kernel[2]) % kernel[1],
        k % kernel[2],
      ];
      const [t, h, w] = at.map((place, i) => place * stride[i] - padding[i] + tap[i]);
      if (t < 0 || h < 0 || w < 0 || t >= T || h >= H || w >= W) continue;
      const element = (((b * T + t) * H + h) * W + w) * C + c;
      if (best < 0 || x[element] > x[best]) best = element;
    }
    y.push(x[best]);
    dx[best] += dy[n];
  }
  return { shape: [B, ...count, C], y, dx };
}

const CASES: readonly [string, number[], PoolAttributes][] = [
  [
    '1×3×3, stride 2, padding 1, odd',
    [2, 2, 7, 5, 3],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  [
    '1×3×3, stride 2, padding 1, even',
    [1, 1, 6, 8, 2],
    { kernel: [1, 3, 3], stride: [1, 2, 2], padding: [0, 1, 1] },
  ],
  ['4×1×1', [1, 8, 2, 3, 2], { kernel: [4, 1, 1], stride: [4, 1, 1], padding: [0, 0, 0] }],
  ['2×2×2 with a remainder', [1, 5, 3, 4, 2], { kernel: [2, 2, 2], stride: [2, 2, 2], padding: [0, 0, 0] }],
  ['stride 1', [1, 3, 4, 4, 1], { kernel: [3, 2, 3], stride: [1, 1, 1], padding: [1, 0, 1] }],
  [
    'a stride beyond the kernel',
    [1, 5, 7, 8, 2],
    { kernel: [1, 2, 1], stride: [2, 3, 3], padding: [0, 0, 0] },
  ],
];

describe('maxPool3d', () => {
  it.each(CASES)('computes maxima and gradients: %s', (_, shape, pool) => {
    const rng = new Rng(3);
    // Few different values, so that many windows hold equal ones; all negative, so that padding would show.
    const x = Float32Array.from({ length: sizeOf(shape) }, () => -1 - rng.int(4));
    const size = reference(shape, x, pool, new Float32Array(x.length)).y.length;
    const dy = Float32Array.from({ length: size }, () => rng.normal());
    const expected = reference(shape, x, pool, dy);
    const input = tf.tensor(x, shape);
    const y = tf.tidy(() => maxPool3d(input, pool));
    expect(y.shape).toEqual(expected.shape);
    expect(Array.from(y.dataSync())).toEqual(expected.y);
    const { value, grads } = backward(
      () => maxPool3d(input, pool).reshape([-1]).mul(tf.tensor1d(dy)).sum(),
      [input],
    );
    const dx = grads[0]!.dataSync();
    for (const [n, slope] of expected.dx.entries()) expect(dx[n]).toBeCloseTo(slope, 5);
    tf.dispose([input, y, value, ...grads.map((grad) => grad!)]);
  });
});
