/** @file Places of labels: inside the image, near their box, apart from each other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlapArea, placePlates, type Rect } from './layout.js';

const IMAGE = { width: 960, height: 720 };

function rect(x1: number, y1: number, width: number, height: number): Rect {
  return { x1, y1, x2: x1 + width, y2: y1 + height };
}

describe('placePlates', () => {
  it('puts the plate of a lone person at its box without covering it', () => {
    const box = rect(400, 300, 80, 200);
    const [place] = placePlates([box], [{ width: 150, height: 40 }], IMAGE, 2);
    expect(overlapArea(place!, box)).toBe(0);
    expect(place!.y2).toBe(298);
  });

  it('keeps the plates of a crowd apart and off the heads', () => {
    const boxes = Array.from({ length: 6 }, (_, i) => rect(300 + 45 * i, 250 + 12 * i, 70, 210));
    const sizes = boxes.map(() => ({ width: 190, height: 60 }));
    const places = placePlates(boxes, sizes, IMAGE, 2) as Rect[];
    places.forEach((place, i) => {
      for (const other of places.slice(i + 1)) expect(overlapArea(place, other)).toBe(0);
      for (const { x1, y1, x2 } of boxes) expect(overlapArea(place, { x1, y1, x2, y2: y1 + 40 })).toBe(0);
    });
  });

  it('stays inside the image, wherever the boxes are', () => {
    const boxes = fc.array(fc.record({ x: fc.nat(959), y: fc.nat(719), w: fc.nat(400), h: fc.nat(400) }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(boxes, (drawn) => {
        const rects = drawn.map(({ x, y, w, h }) => rect(x, y, w, h));
        const sizes = rects.map((_, i) => (i % 3 === 2 ? null : { width: 120 + 10 * i, height: 22 }));
        placePlates(rects, sizes, IMAGE, 2).forEach((place, i) => {
          expect(place === null).toBe(sizes[i] === null);
          if (place === null) return;
          expect(place.x1).toBeGreaterThanOrEqual(0);
          expect(place.y1).toBeGreaterThanOrEqual(0);
          expect(place.x2).toBeLessThanOrEqual(IMAGE.width);
          expect(place.y2).toBeLessThanOrEqual(IMAGE.height);
        });
      }),
      { numRuns: 40 },
    );
  });
});
