/** @file Tests of the bilinear resizer beyond its goldens. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Resizer } from './resize.js';

const sizes = fc.integer({ min: 1, max: 24 });

function resized(
  from: Uint8Array,
  h: number,
  w: number,
  toH: number,
  toW: number,
  mirror = false,
): Uint8Array {
  const to = new Uint8Array(toH * toW * 3);
  new Resizer({ height: h, width: w }, { height: toH, width: toW }, { mirror }).resize(from, to);
  return to;
}

const images = fc
  .tuple(sizes, sizes, sizes, sizes)
  .chain(([h, w, toH, toW]) =>
    fc.tuple(
      fc.constant([h, w, toH, toW] as const),
      fc.uint8Array({ minLength: h * w * 3, maxLength: h * w * 3 }),
    ),
  );

/** Exact bilinear interpolation with half-pixel centres, one pixel at a time. */
function exact(from: Uint8Array, h: number, w: number, toH: number, toW: number): Float64Array {
  const result = new Float64Array(toH * toW * 3);
  const clamp = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1);
  for (let y = 0; y < toH; y++) {
    for (let x = 0; x < toW; x++) {
      const v = clamp(((y + 0.5) * h) / toH - 0.5, h);
      const u = clamp(((x + 0.5) * w) / toW - 0.5, w);
      const [y0, x0] = [Math.floor(v), Math.floor(u)];
      const [y1, x1] = [clamp(y0 + 1, h), clamp(x0 + 1, w)];
      for (let c = 0; c < 3; c++) {
        const at = (row: number, column: number) => from[(row * w + column) * 3 + c];
        const top = at(y0, x0) * (1 - (u - x0)) + at(y0, x1) * (u - x0);
        const bottom = at(y1, x0) * (1 - (u - x0)) + at(y1, x1) * (u - x0);
        result[(y * toW + x) * 3 + c] = top * (1 - (v - y0)) + bottom * (v - y0);
      }
    }
  }
  return result;
}

describe('Resizer', () => {
  it('differs from exact interpolation by at most one grey level', () => {
    fc.assert(
      fc.property(images, ([[h, w, toH, toW], from]) => {
        const ours = resized(from, h, w, toH, toW);
        const want = exact(from, h, w, toH, toW);
        for (let i = 0; i < ours.length; i++) expect(Math.abs(ours[i] - want[i])).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('keeps a flat image flat, black and white included', () => {
    fc.assert(
      fc.property(sizes, sizes, sizes, sizes, fc.integer({ min: 0, max: 255 }), (h, w, toH, toW, value) => {
        const flat = resized(new Uint8Array(h * w * 3).fill(value), h, w, toH, toW);
        expect(flat.every((pixel) => pixel === value)).toBe(true);
      }),
    );
  });

  it('mirrors the resized image, and mirroring twice changes nothing', () => {
    fc.assert(
      fc.property(images, ([[h, w, toH, toW], from]) => {
        const plain = resized(from, h, w, toH, toW);
        const mirrored = resized(from, h, w, toH, toW, true);
        for (let y = 0; y < toH; y++) {
          for (let x = 0; x < toW; x++) {
            const at = (y * toW + x) * 3;
            const other = (y * toW + toW - 1 - x) * 3;
            expect(mirrored.subarray(at, at + 3)).toEqual(plain.subarray(other, other + 3));
          }
        }
        expect(resized(mirrored, toH, toW, toH, toW, true)).toEqual(plain);
      }),
      { numRuns: 50 },
    );
  });

  it('copies an image that has the size already', () => {
    fc.assert(
      fc.property(images, ([[h, w], from]) => {
        expect(resized(from, h, w, h, w)).toEqual(from);
      }),
    );
  });

  it('returns the same image again from the same resizer, at an offset', () => {
    const from = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => (i * 73) & 255);
    const other = from.map((value) => 255 - value);
    const resizer = new Resizer({ height: 7, width: 5 }, { height: 9, width: 11 });
    const bytes = 9 * 11 * 3;
    const to = new Uint8Array(3 * bytes);
    resizer.resize(from, to, 0);
    resizer.resize(other, to, bytes);
    resizer.resize(from, to, 2 * bytes);
    expect(to.subarray(2 * bytes)).toEqual(to.subarray(0, bytes));
    expect(to.subarray(bytes, 2 * bytes)).toEqual(resized(other, 7, 5, 9, 11));
  });
});
