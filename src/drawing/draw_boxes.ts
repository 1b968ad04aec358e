/** @file Boxes and labels of people on a picture: an SVG overlay, put onto the picture by sharp. */
import sharp, { type OverlayOptions, type Sharp } from 'sharp';
import { decodeBytes, decodePicture, type Picture } from '../data/clip/frames.js';
import { DataError } from '../errors.js';
import { coloursOf } from './colours.js';
import { type PlateSize, placePlates, type Rect } from './layout.js';
import { ASCENT, DESCENT, fitText, textPath, textWidth } from './text.js';
import type { DrawnBox } from './types.js';

/** Smaller pictures are enlarged by a whole number, up to this one, until they are about so many pixels wide or high. */
const LARGE = 900;
const MAX_SCALE = 6;

const PLATE = '#101418';
const PLATE_OPACITY = 0.82;
const TEXT = '#ffffff';

export interface DrawOptions {
  /** Enlarges the picture; without it small pictures are enlarged until labels are readable. */
  readonly scale?: number;
  /** A line below the picture. */
  readonly caption?: string;
}

export interface DrawnPicture {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

/** The picture with its boxes, as PNG. Boxes with coordinates that are not finite are left out. */
export async function drawBoxes(
  picture: string | Buffer,
  boxes: readonly DrawnBox[],
  options: DrawOptions = {},
): Promise<DrawnPicture> {
  const decoded = await decode(picture);
  const overlay = new Overlay(decoded.info, boxes, options);
  const png = await overlay.on(decoded).png({ compressionLevel: 6 }).toBuffer();
  return { png, width: overlay.width, height: overlay.height };
}

/** The same boxes on one picture after the other, all of one size: they are laid out and drawn once. */
export class BoxesOnVideo {
  #overlay: Overlay | undefined;
  #pixels: Promise<Buffer> | undefined;

  constructor(
    private readonly boxes: readonly DrawnBox[],
    private readonly options: DrawOptions = {},
  ) {}

  /** RGB pixels of the drawn picture. */
  async draw(path: string): Promise<{ data: Buffer; width: number; height: number }> {
    const decoded = await decode(path);
    this.#overlay ??= new Overlay(decoded.info, this.boxes, this.options);
    const { svg, width, height } = this.#overlay;
    this.#pixels ??= sharp(Buffer.from(svg)).ensureAlpha().raw().toBuffer();
    const overlay = { input: await this.#pixels, raw: { width, height, channels: 4 as const } };
    return { data: await this.#overlay.on(decoded, overlay).raw().toBuffer(), width, height };
  }
}

/** Boxes and caption laid out for pictures of one size. */
class Overlay {
  /** Of the result. */
  readonly width: number;
  readonly height: number;
  readonly svg: string;
  readonly #pictureHeight: number;

  constructor(size: PlateSize, boxes: readonly DrawnBox[], { scale, caption }: DrawOptions) {
    const factor = scale ?? defaultScale(size.width, size.height);
    this.width = Math.round(size.width * factor);
    this.#pictureHeight = Math.round(size.height * factor);
    const bar = caption === undefined ? 0 : captionHeight(this.width, this.#pictureHeight);
    this.height = this.#pictureHeight + bar;
    this.svg = overlaySvg(this.width, this.#pictureHeight, bar, boxes, caption);
  }

  on({ data, info }: Decoded, overlay: OverlayOptions = { input: Buffer.from(this.svg) }): Sharp {
    return sharp(data, { raw: info })
      .resize(this.width, this.#pictureHeight, { fit: 'fill', kernel: 'cubic' })
      .extend({ bottom: this.height - this.#pictureHeight, background: PLATE })
      .composite([overlay])
      .removeAlpha();
  }
}

type Decoded = Awaited<ReturnType<typeof decode>>;

async function decode(picture: string | Buffer) {
  const { data, width, height } = await pixelsOf(picture);
  return { data, info: { width, height, channels: 3 as const } };
}

/** The pixels as the model sees them; Buffers are pictures that were made here. Throws DataError that names the file. */
export async function pixelsOf(picture: string | Buffer): Promise<Picture> {
  const what = 'the picture to draw on';
  if (typeof picture === 'string') return decodePicture(picture, what);
  try {
    return await decodeBytes(picture);
  } catch (error) {
    throw new DataError(`${what} cannot be decoded: ${(error as Error).message.trim()}`, { cause: error });
  }
}

function defaultScale(width: number, height: number): number {
  return Math.max(1, Math.min(MAX_SCALE, Math.ceil(LARGE / Math.max(width, height))));
}

/** The size of text on a picture of this size. */
function textSize(width: number, height: number): number {
  return Math.max(11, Math.min(30, Math.round(Math.min(width * 0.75, height) * 0.024)));
}

function captionHeight(width: number, height: number): number {
  return Math.round(textSize(width, height) * 2);
}

/** What is drawn onto a picture of width × height and the bar of the caption below it. */
function overlaySvg(
  width: number,
  height: number,
  bar: number,
  boxes: readonly DrawnBox[],
  caption: string | undefined,
): string {
  const size = textSize(width, height);
  const line = Math.max(2, size / 7);
  const finite = boxes.filter(({ box }) => Array.from(box).every(Number.isFinite));
  const rects = finite.map(({ box }) => toPixels(box, width, height, line));
  const colours = coloursOf(finite, rects);
  const plates = finite.map(({ labels }) => makePlate(labels, size, width, height));
  const places = placePlates(rects, plates, { width, height }, line);

  const parts = [`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + bar}">`];
  finite.forEach(({ kind }, i) => {
    parts.push(outline(rects[i], kind, colours[i], line));
  });
  places.forEach((place, i) => {
    const plate = plates[i];
    if (place && plate)
      parts.push(leader(place, rects[i], colours[i], line), drawPlate(place, plate, colours[i], size));
  });
  if (caption !== undefined) {
    const text = fitText(caption, size, width - 2 * size);
    const baseline = height + bar / 2 + ((ASCENT - DESCENT) * size) / 2;
    parts.push(`<path fill="${TEXT}" d="${textPath(text, size, baseline, size)}"/>`);
  }
  parts.push('</svg>');
  return parts.join('');
}

/** The box in pixels, cut so that its line stays inside the picture. */
function toPixels(box: ArrayLike<number>, width: number, height: number, line: number): Rect {
  const inside = (value: number, size: number) => Math.min(Math.max(value * size, line / 2), size - line / 2);
  return {
    x1: inside(box[0], width),
    y1: inside(box[1], height),
    x2: inside(box[2], width),
    y2: inside(box[3], height),
  };
}

/** A coloured line with a dark one below it, so that it shows on every ground. */
function outline({ x1, y1, x2, y2 }: Rect, kind: DrawnBox['kind'], colour: string, line: number): string {
  const shape = `x="${x1}" y="${y1}" width="${Math.max(0, x2 - x1)}" height="${Math.max(0, y2 - y1)}" fill="none"`;
  const dash = kind === 'truth' ? ` stroke-dasharray="${line * 4} ${line * 2.5}"` : '';
  return (
    `<rect ${shape} stroke="#000" stroke-opacity="0.6" stroke-width="${line * 2}"/>` +
    `<rect ${shape} stroke="${colour}" stroke-width="${line}"${dash}/>`
  );
}

interface Plate extends PlateSize {
  readonly lines: readonly string[];
}

/** The lines that fit on a plate for one box, and its size; null where there is nothing to say. */
function makePlate(labels: readonly string[], size: number, width: number, height: number): Plate | null {
  if (labels.length === 0) return null;
  const maxLines = Math.max(1, Math.floor((height * 0.45) / lineHeight(size)));
  const shown =
    labels.length <= maxLines
      ? labels
      : [...labels.slice(0, maxLines - 1), `+ ${labels.length - maxLines + 1} more`];
  const lines = shown.map((label) => fitText(label, size, width * 0.45));
  const text = Math.max(...lines.map((label) => textWidth(label, size)));
  return {
    lines,
    width: Math.ceil(text + size * 0.95),
    height: Math.ceil(lines.length * lineHeight(size)) + 2,
  };
}

function lineHeight(size: number): number {
  return size * 1.2;
}

function drawPlate({ x1, y1 }: Rect, plate: Plate, colour: string, size: number): string {
  const { lines, width, height } = plate;
  const stripe = size * 0.28;
  const text = lines
    .map((label, i) =>
      textPath(label, x1 + size * 0.6, y1 + 1 + lineHeight(size) * (i + 0.5) + size * 0.35, size),
    )
    .join('');
  return (
    `<rect x="${x1}" y="${y1}" width="${width}" height="${height}" fill="${PLATE}" fill-opacity="${PLATE_OPACITY}"/>` +
    `<rect x="${x1}" y="${y1}" width="${stripe}" height="${height}" fill="${colour}"/>` +
    `<path fill="${TEXT}" d="${text}"/>`
  );
}

/** A line to the box from a plate that had to move away from it. */
function leader(place: Rect, box: Rect, colour: string, line: number): string {
  const nearest = (low: number, high: number, from: number, to: number) => {
    const start = Math.max(low, from);
    const end = Math.min(high, to);
    if (start <= end) return [(start + end) / 2, (start + end) / 2];
    return low > to ? [low, to] : [high, from];
  };
  const [px, bx] = nearest(place.x1, place.x2, box.x1, box.x2);
  const [py, by] = nearest(place.y1, place.y2, box.y1, box.y2);
  if (Math.hypot(px - bx, py - by) <= line * 2) return '';
  const points = `x1="${px}" y1="${py}" x2="${bx}" y2="${by}"`;
  return (
    `<line ${points} stroke="#000" stroke-opacity="0.6" stroke-width="${line * 1.8}"/>` +
    `<line ${points} stroke="${colour}" stroke-width="${line * 0.8}"/>`
  );
}
