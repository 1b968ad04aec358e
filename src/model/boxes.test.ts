/** @file Decoder boxes: gradients, inverses, extremes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectGradients, normals, values } from '../../test/support/finite_difference.js';
import { tf } from '../engine/tfjs.js';
import { Rng } from '../util/random.js';
import { boxSize, columns, decodeBoxes, intersectionOverFirst, refineBoxes } from './boxes.js';

const read = (f: () => tf.Tensor) => {
  const y = tf.tidy(f);
  const data = Array.from(y.dataSync());
  y.dispose();
  return data;
};

/** xyzr of a size that a few steps of a check do not make huge. */
const somewhere = (rng: Rng, shape: number[]) => normals(shape, rng, 1.5);

describe('decodeBoxes and refineBoxes', () => {
  const rng = new Rng(1);

  it('have the right gradients', () => {
    expectGradients(decodeBoxes, [somewhere(rng, [2, 3, 4])]);
    expectGradients(refineBoxes, [somewhere(rng, [2, 3, 4]), normals([2, 3, 4], rng)]);
    expectGradients(
      (xyzr, delta) => decodeBoxes(refineBoxes(xyzr, delta)),
      [somewhere(rng, [1, 3, 4]), normals([1, 3, 4], rng, 0.5)],
    );
    expectGradients(
      (x) => {
        const { w, h } = boxSize(columns(x)[2], columns(x)[3]);
        return [w, h];
      },
      [somewhere(rng, [3, 4])],
    );
  });

  it('give boxes whose sides multiply to 4^z and divide to 2^r', () => {
    fc.assert(
      fc.property(
        fc.tuple(
          fc.double({ min: -500, max: 1500, noNaN: true }),
          fc.double({ min: -500, max: 1500, noNaN: true }),
          fc.double({ min: 2, max: 11, noNaN: true }),
          fc.double({ min: -4, max: 4, noNaN: true }),
        ),
        (box) => {
          const [x, y, z, r] = box.map(Math.fround);
          const [x1, y1, x2, y2] = read(() => decodeBoxes(tf.tensor([x, y, z, r], [1, 4])));
          const [w, h] = [x2 - x1, y2 - y1];
          // Corners are rounded to float32 at up to 10,000 pixels.
          expect(Math.abs(Math.log2(w * h) / 2 - z)).toBeLessThan(2e-3);
          expect(Math.abs(Math.log2(h / w) - r)).toBeLessThan(4e-3);
          expect(Math.abs((x1 + x2) / 2 - x)).toBeLessThan(2e-3);
          expect(Math.abs((y1 + y2) / 2 - y)).toBeLessThan(2e-3);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('leave a box in place for a delta of zero, and move it relative to its size', () => {
    expect(read(() => refineBoxes(tf.tensor([[5, 6, 3, 1]]), tf.zeros([1, 4])))).toEqual([5, 6, 3, 1]);
    const moved = read(() => refineBoxes(tf.tensor([[5, 6, 3, 1]]), tf.tensor([[1, -0.5, 2, -1]])));
    for (const [i, x] of [13, 2, 5, 0].entries()) expect(moved[i]).toBeCloseTo(x, 5);
  });
});

describe('intersectionOverFirst', () => {
  it('divides by the area of the first box', () => {
    const boxes = [
      [0, 0, 10, 10],
      [5, 5, 15, 25],
      [20, 20, 30, 30],
      [2, 2, 4, 4],
    ];
    const iof = read(() => intersectionOverFirst(tf.tensor([boxes]), tf.tensor([boxes])));
    const expected = [1, 0.25, 0, 0.04, 0.125, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1];
    for (const [i, x] of expected.entries()) expect(iof[i]).toBeCloseTo(x, 6);
  });

  it('keeps the clips of a batch apart', () => {
    const rng = new Rng(2);
    const corners = () => {
      const [x, y] = [rng.uniform(), rng.uniform()];
      return [x, y, x + 0.1 + rng.uniform(), y + 0.1 + rng.uniform()];
    };
    const clips = [0, 1].map(() => [corners(), corners(), corners()]);
    const both = read(() => intersectionOverFirst(tf.tensor(clips), tf.tensor(clips)));
    const alone = clips.flatMap((clip) =>
      read(() => intersectionOverFirst(tf.tensor([clip]), tf.tensor([clip]))),
    );
    expect(both).toEqual(alone);
  });

  it('is finite for boxes without area, as small boxes have in float32', () => {
    const point = values([1, 2, 4], [300, 300, 300, 300, 0, 0, 400, 400]);
    const iof = read(() =>
      intersectionOverFirst(tf.tensor(point.data, point.shape), tf.tensor(point.data, point.shape)),
    );
    expect(iof).toEqual([0, 0, 0, 1]);
  });
});
