/** @file Overlap of boxes: known values, properties, derivatives. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generalizedIou, generalizedIouGradient, iouAndUnion } from './overlap.js';

const box = fc
  .tuple(
    fc.integer({ min: -50, max: 300 }),
    fc.integer({ min: -50, max: 300 }),
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 200 }),
  )
  .map(([x, y, w, h]) => [x, y, x + w, y + h]);

describe('iou and generalizedIou', () => {
  it.each([
    ['equal boxes', [0, 0, 4, 2], [0, 0, 4, 2], 1, 1],
    ['a half', [0, 0, 4, 2], [0, 0, 2, 2], 0.5, 0.5],
    ['a corner', [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9],
    ['touching boxes', [0, 0, 2, 2], [2, 0, 4, 2], 0, 0],
    ['distant boxes', [0, 0, 1, 1], [3, 0, 4, 1], 0, -0.5],
    ['an empty box inside', [0, 0, 2, 2], [1, 1, 1, 1], 0, 0],
  ])('have the known values for %s', (_, a, b, expected, generalized) => {
    for (const [p, q] of [
      [a, b],
      [b, a],
    ]) {
      expect(iouAndUnion(p, 0, q, 0).iou).toBeCloseTo(expected, 12);
      expect(generalizedIou(p, 0, q, 0)).toBeCloseTo(generalized, 12);
      expect(generalizedIouGradient(p, 0, q, 0).value).toBeCloseTo(generalized, 12);
    }
  });

  it('lie in their ranges, are symmetric, and do not change with position and scale', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const both = [...a, ...b];
        const value = generalizedIou(both, 0, both, 4);
        const plain = iouAndUnion(both, 0, both, 4).iou;
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

describe('generalizedIouGradient', () => {
  it('has the derivatives of the value, for boxes that overlap, contain each other, or do not overlap', () => {
    const step = 1e-3;
    fc.assert(
      fc.property(box, box, (first, b) => {
        // Edges of the first box are off by half a pixel, so that none is equal, where the derivative jumps.
        const a = first.map((x) => x + 0.5);
        const { value, gradient } = generalizedIouGradient(a, 0, b, 0);
        expect(value).toBeCloseTo(generalizedIou(a, 0, b, 0), 12);
        for (const [c, derivative] of gradient.entries()) {
          const at = (h: number) =>
            generalizedIou(
              a.map((x, i) => (i === c ? x + h : x)),
              0,
              b,
              0,
            );
          expect(derivative).toBeCloseTo((at(step) - at(-step)) / (2 * step), 6);
        }
      }),
    );
  });

  it('halves the derivative if edges are equal, as PyTorch does', () => {
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
    const { gradient } = generalizedIouGradient([0, 0, 2, 2], 0, [0, 0, 2, 4], 0);
    for (const [i, derivative] of gradient.entries()) expect(derivative).toBeCloseTo(expected[i], 12);
  });

  it('passes on the derivative of an intersection of width 0, as torch.clamp does', () => {
    // Touching at x = 2: d(inter) = 2 dx2 for the first box; union 8, enclosing 8 and it does not change.
    const { gradient } = generalizedIouGradient([0, 0, 2, 2], 0, [2, 0, 4, 2], 0);
    expect(gradient[2]).toBeCloseTo(2 / 8 + (2 - 2) / 8, 12);
  });

  it('is finite if both boxes have no area, but the box around them does', () => {
    const { value, gradient } = generalizedIouGradient([0, 0, 0, 2], 0, [1, 0, 1, 2], 0);
    expect([value, ...gradient].every(Number.isFinite)).toBe(true);
  });
});
