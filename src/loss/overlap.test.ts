/** @file Overlap of boxes: known values, properties, and the tensor version against the numbers and its gradients. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectGradients, values } from '../../test/finite_difference.js';
import { backward } from '../nn/autograd.js';
import { Rng } from '../util/random.js';
import { generalizedIou, generalizedIouPairs, iou } from './overlap.js';

const box = fc
  .tuple(
    fc.integer({ min: -50, max: 300 }),
    fc.integer({ min: -50, max: 300 }),
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 200 }),
  )
  .map(([x, y, w, h]) => [x, y, x + w, y + h]);

/** Generalised IoU of pairs of boxes by the tensor version. */
function pairs(a: number[][], b: number[][]): number[] {
  const y = tf.tidy(() => generalizedIouPairs(tf.tensor2d(a), tf.tensor2d(b)));
  expect(y.shape).toEqual([a.length, 1]);
  const data = Array.from(y.dataSync());
  y.dispose();
  return data;
}

describe('iou and generalizedIou', () => {
  it.each([
    ['equal boxes', [0, 0, 4, 2], [0, 0, 4, 2], 1, 1],
    ['a half', [0, 0, 4, 2], [0, 0, 2, 2], 0.5, 0.5],
    ['a corner', [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9],
    ['touching boxes', [0, 0, 2, 2], [2, 0, 4, 2], 0, 0],
    ['distant boxes', [0, 0, 1, 1], [3, 0, 4, 1], 0, -0.5],
    ['an empty box inside', [0, 0, 2, 2], [1, 1, 1, 1], 0, 0],
  ])('of %s', (_, a, b, expected, generalized) => {
    for (const [p, q] of [
      [a, b],
      [b, a],
    ]) {
      expect(iou(p, 0, q, 0).iou).toBeCloseTo(expected, 12);
      expect(generalizedIou(p, 0, q, 0)).toBeCloseTo(generalized, 12);
      expect(pairs([p], [q])[0]).toBeCloseTo(generalized, 6);
    }
  });

  it('lie in their ranges, are symmetric, and do not change with place and scale', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const both = [...a, ...b];
        const value = generalizedIou(both, 0, both, 4);
        const plain = iou(both, 0, both, 4).iou;
        expect(plain).toBeGreaterThanOrEqual(0);
        expect(plain).toBeLessThanOrEqual(1);
        expect(value).toBeGreaterThan(-1);
        expect(value).toBeLessThanOrEqual(plain);
        expect(generalizedIou(both, 4, both, 0)).toBeCloseTo(value, 12);
        const moved = both.map((x) => 2 * x + 32);
        expect(generalizedIou(moved, 0, moved, 4)).toBeCloseTo(value, 12);
      }),
    );
  });
});

describe('generalizedIouPairs', () => {
  it('equals the numbers on the host', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(box, box), { minLength: 1, maxLength: 20 }), (both) => {
        const [a, b] = [both.map(([p]) => p), both.map(([, q]) => q)];
        for (const [i, value] of pairs(a, b).entries()) {
          expect(value).toBeCloseTo(generalizedIou(a[i], 0, b[i], 0), 5);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('has the right gradients for boxes that meet, contain each other, or do not meet', () => {
    const rng = new Rng(1);
    // No two edges within 0.1 of each other, where the derivative jumps.
    const a = [
      [0, 0, 4, 3],
      [1, 1, 3, 2],
      [0, 0, 1, 1],
      [0, 0, 5, 5],
    ];
    const b = [
      [1, 1, 6, 5],
      [0.2, 0.3, 4, 3.5],
      [2, 3, 4, 5],
      [1, -2, 2, 8],
    ];
    const jitter = (rows: number[][]) =>
      values(
        [4, 4],
        rows.flat().map((x) => x + 0.05 * rng.uniform()),
      );
    expectGradients(generalizedIouPairs, [jitter(a), jitter(b)]);
  });

  it('halves the gradient where edges are equal, as PyTorch does', () => {
    const [a, b] = [tf.tensor2d([[0, 0, 2, 2]]), tf.tensor2d([[0, 0, 2, 4]])];
    const { value, grads } = backward(() => generalizedIouPairs(a, b).sum() as tf.Scalar, [a]);
    // IoU = 4/8 and no waste. With shares of ½ at the equal edges x1, x2, y1 and a whole one at y2:
    // d(inter) = −½·2 dx1 − ½·2 dy1 + ½·2 dx2 + 2 dy2; d(area) = −2 dx1 − 2 dy1 + 2 dx2 + 2 dy2;
    // d(union) = d(area) − d(inter); d(enclosing) = −½·4 dx1 − ½·2 dy1 + ½·4 dx2;
    // d(giou) = d(inter)/8 − 4/64·d(union) + d(union)/8 − 8/64·d(enclosing).
    const expected = [-1, -1, 1, 2].map((inter, i) => {
      const area = [-2, -2, 2, 2][i];
      const enclosing = [-2, -1, 2, 0][i];
      const union = area - inter;
      return inter / 8 - union / 16 + union / 8 - enclosing / 8;
    });
    for (const [i, gradient] of grads[0]!.dataSync().entries()) expect(gradient).toBeCloseTo(expected[i], 6);
    tf.dispose([a, b, value, grads[0]!]);
  });
});
