/** @file Arranging several images on one sheet. */
import sharp from 'sharp';
import type { DrawnImage } from './draw_boxes.js';

const GROUND = '#101418';

/** Arranges rows of images below each other on a dark background. */
export async function arrange(rows: readonly (readonly DrawnImage[])[], gap: number): Promise<DrawnImage> {
  const placed: { input: Buffer; left: number; top: number }[] = [];
  let width = 0;
  let top = 0;
  for (const row of rows) {
    let left = 0;
    for (const image of row) {
      placed.push({ input: image.png, left, top });
      left += image.width + gap;
    }
    width = Math.max(width, left - gap);
    top += Math.max(0, ...row.map((image) => image.height)) + gap;
  }
  const height = top - gap;
  const png = await sharp({ create: { width, height, channels: 3, background: GROUND } })
    .composite(placed)
    .removeAlpha()
    .png({ compressionLevel: 6 })
    .toBuffer();
  return { png, width, height };
}
