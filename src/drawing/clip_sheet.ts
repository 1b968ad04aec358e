/** @file A clip on one sheet: its large key frame with boxes, and a strip of small frames below. */
import sharp from 'sharp';
import { type DrawnImage, drawBoxes, pixelsOf } from './draw_boxes.js';
import { arrange } from './sheet.js';
import { fitText, textPath } from './text.js';
import type { DrawnBox } from './types.js';

const GAP = 4;
/** Frames in a row of the strip. */
const PER_ROW = 8;
/** Maximum number of frames in the strip; of longer clips, evenly spaced frames are shown. */
const MAX_FRAMES = 4 * PER_ROW;
const KEY_COLOUR = '#ffd23f';

export interface ClipFrame {
  readonly image: string | Buffer;
  /** Text in its corner, such as its number. */
  readonly name: string;
}

export interface ClipImages {
  readonly frames: readonly ClipFrame[];
  /** Index of the key frame. */
  readonly key: number;
  readonly boxes: readonly DrawnBox[];
  readonly caption: string;
}

/** Indices of the frames in the strip, which always include the key frame. */
export function shownFrames(count: number, key: number): number[] {
  if (count <= MAX_FRAMES) return Array.from({ length: count }, (_, i) => i);
  const step = count / MAX_FRAMES;
  const phase = key % step;
  const shown = Array.from({ length: MAX_FRAMES }, (_, i) => Math.floor(i * step + phase + 1e-9));
  return shown.filter((frame) => frame < count);
}

/** Draws the sheet. Throws DataError that names an undecodable image. */
export async function drawClip({ frames, key, boxes, caption }: ClipImages): Promise<DrawnImage> {
  const large = await drawBoxes(frames[key].image, boxes, { caption });
  const shown = shownFrames(frames.length, key);
  const perRow = Math.min(shown.length, PER_ROW);
  const width = Math.floor((large.width - (perRow - 1) * GAP) / perRow);
  const small = await Promise.all(
    shown.map((frame) => thumbnail(frames[frame], { width, isKey: frame === key })),
  );
  const rows: DrawnImage[][] = [];
  for (let start = 0; start < small.length; start += perRow) rows.push(small.slice(start, start + perRow));
  return arrange([[large], ...rows], GAP);
}

async function thumbnail(
  { image, name }: ClipFrame,
  { width, isKey }: { width: number; isKey: boolean },
): Promise<DrawnImage> {
  const pixels = await pixelsOf(image);
  const { data, info } = await sharp(pixels.data, {
    raw: { width: pixels.width, height: pixels.height, channels: 3 },
  })
    .resize({ width })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { height } = info;
  const size = Math.max(7, width / 9.5);
  const line = size / 4;
  const path = textPath(fitText(name, size, width - 2 * line), size / 3, size * 1.1, size);
  const frame = `<rect x="${line / 2}" y="${line / 2}" width="${width - line}" height="${height - line}" fill="none" stroke="${KEY_COLOUR}" stroke-width="${line}"/>`;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${isKey ? frame : ''}` +
    `<path d="${path}" fill="none" stroke="#000" stroke-width="${line}" stroke-linejoin="round"/>` +
    `<path d="${path}" fill="${isKey ? KEY_COLOUR : '#fff'}"/></svg>`;
  const png = await sharp(data, { raw: info })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .png()
    .toBuffer();
  return { png, width, height };
}
