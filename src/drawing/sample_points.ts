/** @file The points that the decoder's stages sample for each person, with a panel per stage. */
import sharp from 'sharp';
import { colourOf } from './colours.js';
import { type DrawnImage, drawBoxes, pixelsOf, textSize } from './draw_boxes.js';
import { arrange } from './sheet.js';
import { ASCENT, textPath, textWidth } from './text.js';
import type { DrawnBox } from './types.js';

/** The points that one stage samples for one person. */
export interface SampledPerson {
  /** Box at the start of the stage; corners as fractions of the image. */
  readonly box: readonly number[];
  /** x and y as fractions of the image, and the level of the pyramid, one point after the other. */
  readonly points: ArrayLike<number>;
}

const GAP = 6;
const LINE = '#101418';
/** Radius of a point on the finest level of the pyramid; each coarser level adds a step. */
const FINEST_RADIUS = 1.6;
const RADIUS_STEP = 1.5;
const LEVELS = 4;

/** Draws the stages; `stages[s][p]` is person p in stage s, `found` are the boxes after the last stage. */
export async function drawSamplePoints(
  image: string,
  stages: readonly (readonly SampledPerson[])[],
  found: readonly DrawnBox[],
  caption: string,
): Promise<DrawnImage> {
  const { height, width } = await pixelsOf(image);
  const panels = await Promise.all(
    stages.map(async (people, s) => {
      const outside = countOutside(people);
      const beyond = outside > 0 ? ` · ${outside} points beyond the image` : '';
      const title = `stage ${s + 1}: its boxes and sampling points${beyond}`;
      const boxes = people.map(({ box }, i) => ({
        box,
        labels: [],
        kind: 'detection' as const,
        colour: found[i].colour,
      }));
      const colours = found.map(({ colour }, i) => colourOf(colour ?? i));
      return withPoints(await drawBoxes(image, boxes, { caption: title }), height / width, {
        people,
        colours,
      });
    }),
  );
  const result = await drawBoxes(image, found, { caption });
  const all = [...panels, result];
  const columns = Math.ceil(Math.sqrt(all.length));
  const rows = Array.from({ length: Math.ceil(all.length / columns) }, (_, r) =>
    all.slice(r * columns, (r + 1) * columns),
  );
  return arrange([...rows, [await legend(result)]], GAP);
}

function radiusOf(level: number): number {
  return FINEST_RADIUS + RADIUS_STEP * Math.min(Math.max(level, 0), LEVELS - 1);
}

function isInside(x: number, y: number): boolean {
  return x >= 0 && x <= 1 && y >= 0 && y <= 1;
}

function countOutside(people: readonly SampledPerson[]): number {
  let count = 0;
  for (const { points } of people) {
    for (let i = 0; i < points.length; i += 3) if (!isInside(points[i], points[i + 1])) count++;
  }
  return count;
}

/** Draws points on an image that has a caption below it; `shape` is the height of the image itself over its width. */
async function withPoints(
  drawn: DrawnImage,
  shape: number,
  { people, colours }: { people: readonly SampledPerson[]; colours: readonly string[] },
): Promise<DrawnImage> {
  const height = drawn.width * shape;
  const unit = unitOf({ width: drawn.width, height });
  const dots: string[] = [];
  people.forEach(({ points }, person) => {
    for (let i = 0; i < points.length; i += 3) {
      if (!isInside(points[i], points[i + 1])) continue;
      dots.push(
        dot(
          { x: points[i] * drawn.width, y: points[i + 1] * height, level: points[i + 2] },
          colours[person],
          unit,
        ),
      );
    }
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${drawn.width}" height="${drawn.height}">${dots.join('')}</svg>`;
  const png = await sharp(drawn.png)
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .png({ compressionLevel: 6 })
    .toBuffer();
  return { ...drawn, png };
}

/** Length that is one pixel in an image with letters of 17 pixels. */
function unitOf(size: { width: number; height: number }): number {
  return textSize(size) / 17;
}

function dot({ x, y, level }: { x: number; y: number; level: number }, colour: string, unit: number): string {
  return (
    `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${(radiusOf(level) * unit).toFixed(2)}" fill="${colour}" ` +
    `fill-opacity="0.75" stroke="${LINE}" stroke-opacity="0.7" stroke-width="${0.8 * unit}"/>`
  );
}

/** The legend that explains the sizes of the points. */
async function legend({ width, height: imageHeight }: DrawnImage): Promise<DrawnImage> {
  const unit = unitOf({ width, height: imageHeight });
  const size = 15 * unit;
  const height = Math.round(size * 2);
  const middle = height / 2;
  const baseline = middle + (ASCENT / 2 - 0.1) * size;
  const parts: string[] = [];
  let x = size;
  const write = (text: string) => {
    parts.push(`<path fill="#fff" d="${textPath(text, x, baseline, size)}"/>`);
    x += textWidth(text, size) + size;
  };
  write('feature map of a point, by the size of its cells in pixels:');
  for (let level = 0; level < LEVELS; level++) {
    parts.push(dot({ x, y: middle, level }, colourOf(0), unit));
    x += (2 * radiusOf(level) + 4) * unit;
    write(String(4 * 2 ** level));
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join('')}</svg>`;
  const png = await sharp({ create: { width, height, channels: 3, background: LINE } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .png()
    .toBuffer();
  return { png, width, height };
}
