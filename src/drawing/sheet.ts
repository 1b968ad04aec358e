/** @file Several pictures on one sheet. */
import sharp from 'sharp';
import type { DrawnPicture } from './draw_boxes.js';

const GROUND = '#101418';

/** Rows of pictures below each other, each row from left to right, on a dark ground. */
export async function arrange(
  rows: readonly (readonly DrawnPicture[])[],
  gap: number,
): Promise<DrawnPicture> {
  const placed: { input: Buffer; left: number; top: number }[] = [];
  let width = 0;
  let top = 0;
  for (const row of rows) {
    let left = 0;
    for (const picture of row) {
      placed.push({ input: picture.png, left, top });
      left += picture.width + gap;
    }
    width = Math.max(width, left - gap);
    top += Math.max(0, ...row.map((picture) => picture.height)) + gap;
  }
  const height = top - gap;
  const png = await sharp({ create: { width, height, channels: 3, background: GROUND } })
    .composite(placed)
    .removeAlpha()
    .png({ compressionLevel: 6 })
    .toBuffer();
  return { png, width, height };
}
