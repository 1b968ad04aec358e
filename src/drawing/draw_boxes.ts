/** @file Drawing boxes and labels of people on an image, with an SVG overlay that sharp composites. */
import sharp, { type OverlayOptions, type Sharp } from 'sharp';
import { decodeBytes, decodeImage, type RgbImage } from '../data/clip/frames.js';
import { DataError } from '../errors.js';
import { coloursOf } from './colours.js';
import { type PlateSize, placePlates, type Rect } from './layout.js';
import { ASCENT, DESCENT, fitText, textPath, textWidth } from './text.js';
import type { DrawnBox } from './types.js';

/** Size, in pixels of the longer side, up to which smaller images are enlarged by a whole number. */
const LARGE = 900;
/** Maximum enlargement. */
const MAX_SCALE = 6;

const PLATE = '#101418';
const PLATE_OPACITY = 0.82;
const TEXT = '#ffffff';

export interface DrawOptions {
  /** Enlargement; by default, small images are enlarged until labels are readable. */
  readonly scale?: number;
  /** Text below the image. */
  readonly caption?: string;
}

export interface DrawnImage {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

/** Draws boxes on an image, except boxes with coordinates that are not finite. Throws DataError for an unreadable image. */
export async function drawBoxes(
  image: string | Buffer,
  boxes: readonly DrawnBox[],
  options: DrawOptions = {},
): Promise<DrawnImage> {
  const decoded = await decode(image);
  const overlay = new Overlay(decoded.info, boxes, options);
  const png = await overlay.on(decoded).png({ compressionLevel: 6 }).toBuffer();
  return { png, width: overlay.width, height: overlay.height };
}

/** Draws the same boxes on several images of one size; layout and overlay are made once. */
export class BoxesOnVideo {
  #overlay: Overlay | undefined;
  #pixels: Promise<Buffer> | undefined;

  constructor(
    private readonly boxes: readonly DrawnBox[],
    private readonly options: DrawOptions = {},
  ) {}

  /** Draws on an image file; returns RGB pixels. */
  async draw(path: string): Promise<{ data: Buffer; width: number; height: number }> {
    const decoded = await decode(path);
    this.#overlay ??= new Overlay(decoded.info, this.boxes, this.options);
    const { svg, width, height } = this.#overlay;
    this.#pixels ??= sharp(Buffer.from(svg)).ensureAlpha().raw().toBuffer();
    const overlay = { input: await this.#pixels, raw: { width, height, channels: 4 as const } };
    return { data: await this.#overlay.on(decoded, overlay).raw().toBuffer(), width, height };
  }
}

/** Overlay with boxes and caption for images of one size. */
class Overlay {
  /** Size of the result, including the caption. */
  readonly width: number;
  readonly height: number;
  readonly svg: string;
  readonly #imageHeight: number;

  constructor(size: PlateSize, boxes: readonly DrawnBox[], { scale, caption }: DrawOptions) {
    const factor = scale ?? defaultScale(size.width, size.height);
    this.width = Math.round(size.width * factor);
    this.#imageHeight = Math.round(size.height * factor);
    const image = { width: this.width, height: this.#imageHeight };
    const captionHeight = caption === undefined ? 0 : Math.round(textSize(image) * 2);
    this.height = this.#imageHeight + captionHeight;
    this.svg = overlaySvg(image, captionHeight, boxes, caption);
  }

  /** Composites the overlay on an image. */
  on({ data, info }: Decoded, overlay: OverlayOptions = { input: Buffer.from(this.svg) }): Sharp {
    return sharp(data, { raw: info })
      .resize(this.width, this.#imageHeight, { fit: 'fill', kernel: 'cubic' })
      .extend({ bottom: this.height - this.#imageHeight, background: PLATE })
      .composite([overlay])
      .removeAlpha();
  }
}

type Decoded = Awaited<ReturnType<typeof decode>>;

async function decode(image: string | Buffer) {
  const { data, width, height } = await pixelsOf(image);
  return { data, info: { width, height, channels: 3 as const } };
}

/** Decodes an image file, or an encoded image in memory, like the model's input. Throws DataError that names the file. */
export async function pixelsOf(image: string | Buffer): Promise<RgbImage> {
  const what = 'the image to draw on';
  if (typeof image === 'string') return decodeImage(image, what);
  try {
    return await decodeBytes(image);
  } catch (error) {
    throw new DataError(`${what} cannot be decoded: ${(error as Error).message.trim()}`, { cause: error });
  }
}

function defaultScale(width: number, height: number): number {
  return Math.max(1, Math.min(MAX_SCALE, Math.ceil(LARGE / Math.max(width, height))));
}

/** Screen on which the labels of a shrunk image are still readable, and the size that letters have there, in pixels. */
const SCREEN = { width: 1280, height: 720, letters: 14 };

/** Font size for an image of this size: readable when the image is shrunk to a screen, and small in small images. */
export function textSize({ width, height }: PlateSize): number {
  const share = Math.min(width * 0.75, height) * 0.024;
  const onScreen = SCREEN.letters * Math.max(width / SCREEN.width, height / SCREEN.height);
  const most = Math.min(width, height) * 0.055;
  return Math.round(Math.max(8, Math.min(most, Math.max(11, share, onScreen))));
}

/** The overlay of an image and the caption below it. */
function overlaySvg(
  image: PlateSize,
  captionHeight: number,
  boxes: readonly DrawnBox[],
  caption: string | undefined,
): string {
  const { width, height } = image;
  const size = textSize(image);
  const line = Math.max(1.5, size / 7);
  const finite = boxes.filter(({ box }) => Array.from(box).every(Number.isFinite));
  const rects = finite.map(({ box }) => toPixels(box, width, height, line));
  const colours = coloursOf(finite, rects);
  const plates = finite.map(({ labels }) => makePlate(labels, size, width, height));
  const positions = placePlates(rects, plates, image, line);

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + captionHeight}">`,
  ];
  finite.forEach(({ kind }, i) => {
    parts.push(outline(rects[i], kind, colours[i], line));
  });
  positions.forEach((position, i) => {
    const plate = plates[i];
    if (position && plate)
      parts.push(leader(position, rects[i], colours[i], line), drawPlate(position, plate, colours[i], size));
  });
  if (caption !== undefined) {
    const text = fitText(caption, size, width - 2 * size);
    const baseline = height + captionHeight / 2 + ((ASCENT - DESCENT) * size) / 2;
    parts.push(`<path fill="${TEXT}" d="${textPath(text, size, baseline, size)}"/>`);
  }
  parts.push('</svg>');
  return parts.join('');
}

/** The box in pixels, clipped so that its line stays inside the image. */
function toPixels(box: ArrayLike<number>, width: number, height: number, line: number): Rect {
  const inside = (value: number, size: number) => Math.min(Math.max(value * size, line / 2), size - line / 2);
  return {
    x1: inside(box[0], width),
    y1: inside(box[1], height),
    x2: inside(box[2], width),
    y2: inside(box[3], height),
  };
}

/** A coloured line over a wider dark one, which makes it visible on every background. */
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

/** The plate with the labels that fit; null without labels. */
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

/** A line from a plate to its box; empty if the plate is close to the box. */
function leader(plate: Rect, box: Rect, colour: string, line: number): string {
  const nearest = (low: number, high: number, from: number, to: number) => {
    const start = Math.max(low, from);
    const end = Math.min(high, to);
    if (start <= end) return [(start + end) / 2, (start + end) / 2];
    return low > to ? [low, to] : [high, from];
  };
  const [px, bx] = nearest(plate.x1, plate.x2, box.x1, box.x2);
  const [py, by] = nearest(plate.y1, plate.y2, box.y1, box.y2);
  if (Math.hypot(px - bx, py - by) <= line * 2) return '';
  const points = `x1="${px}" y1="${py}" x2="${bx}" y2="${by}"`;
  return (
    `<line ${points} stroke="#000" stroke-opacity="0.6" stroke-width="${line * 1.8}"/>` +
    `<line ${points} stroke="${colour}" stroke-width="${line * 0.8}"/>`
  );
}
