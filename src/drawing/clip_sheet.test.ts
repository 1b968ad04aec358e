/** @file The sheet of a clip: which frames it shows, and its size. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawClip, shownFrames } from './clip_sheet.js';

describe('shownFrames', () => {
  it('returns all frames of a short clip, evenly spaced ones of a long clip, and always the key frame', () => {
    expect(shownFrames(4, 2)).toEqual([0, 1, 2, 3]);
    const long = shownFrames(64, 32);
    expect(long).toEqual(Array.from({ length: 32 }, (_, i) => 2 * i));
    for (let count = 33; count < 140; count++) {
      const shown = shownFrames(count, Math.floor(count / 2));
      expect(shown).toContain(Math.floor(count / 2));
      expect(shown.length).toBeLessThanOrEqual(32);
      expect(new Set(shown).size).toBe(shown.length);
      expect(shown.at(-1)).toBeLessThan(count);
    }
  });
});

describe('drawClip', () => {
  it('draws the key frame above rows of frames', async () => {
    const image = (grey: number) =>
      sharp({ create: { width: 100, height: 50, channels: 3, background: { r: grey, g: grey, b: grey } } })
        .png()
        .toBuffer();
    const frames = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => ({ image: await image(20 * i), name: String(i) })),
    );
    const { png, width, height } = await drawClip({ frames, key: 5, boxes: [], caption: 'ten' });
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([width, height]);
    expect(width).toBe(600);
    const at = (x: number, y: number) => data[(y * width + x) * 3];
    expect(at(300, 150)).toBe(100);
    // The last two frames are the second row, 71 × 35 pixels each.
    expect(at(45, height - 15)).toBe(160);
    expect(at(45 + 71 + 4, height - 15)).toBe(180);
    expect(at(590, height - 15)).toBeLessThan(30);
  });
});
