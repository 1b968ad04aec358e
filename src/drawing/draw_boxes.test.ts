/** @file Images with boxes and labels, by their pixels. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.js';
import { drawBoxes, textSize } from './draw_boxes.js';
import type { DrawnBox } from './types.js';

const GREY = { r: 128, g: 128, b: 128 };

function ground(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: GREY } })
    .png()
    .toBuffer();
}

async function pixelsOf(png: Buffer) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(3);
  const at = (x: number, y: number) =>
    Array.from(data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3));
  return { ...info, data, at };
}

const box = (labels: string[], kind: DrawnBox['kind'] = 'detection'): DrawnBox => ({
  box: [0.25, 0.5, 0.5, 0.75],
  labels,
  kind,
});

function whites(data: Buffer): number {
  let count = 0;
  for (let i = 0; i < data.length; i += 3) if (Math.min(data[i], data[i + 1], data[i + 2]) > 240) count++;
  return count;
}

describe('drawBoxes', () => {
  it('enlarges small images and draws a coloured line where the box is', async () => {
    const drawn = await drawBoxes(await ground(320, 240), [box([])]);
    expect([drawn.width, drawn.height]).toEqual([960, 720]);
    const { at, width, height } = await pixelsOf(drawn.png);
    expect([width, height]).toEqual([960, 720]);
    for (const [x, y] of [
      [240, 450],
      [480, 450],
      [360, 360],
      [360, 540],
    ]) {
      const [r, , b] = at(x, y);
      expect(r - b).toBeGreaterThan(80);
    }
    expect(at(360, 450)).toEqual([128, 128, 128]);
    expect(at(100, 100)).toEqual([128, 128, 128]);
  });

  it('leaves large images at their size, and scales any image on request', async () => {
    expect(await drawBoxes(await ground(1280, 720), [])).toMatchObject({ width: 1280, height: 720 });
    expect(await drawBoxes(await ground(300, 200), [], { scale: 1 })).toMatchObject({
      width: 300,
      height: 200,
    });
  });

  it('sizes letters and lines by the image, so that they are readable and hide little', () => {
    for (const [width, height] of [
      [3840, 2160],
      [7680, 4320],
      [1080, 1920],
      [4000, 700],
    ]) {
      const shrunk = Math.min(1280 / width, 720 / height);
      expect(textSize({ width, height }) * shrunk).toBeGreaterThan(12);
    }
    for (const [width, height] of [
      [160, 120],
      [120, 160],
      [258, 192],
      [4000, 500],
    ]) {
      expect(textSize({ width, height })).toBeLessThan(Math.max(8.1, 0.06 * Math.min(width, height)));
    }
    expect(textSize({ width: 960, height: 720 })).toBe(17);
  });

  it('draws a person in the colour that the box names', async () => {
    const image = await ground(320, 240);
    const lineOf = async (colour?: number) => {
      const drawn = await drawBoxes(image, [{ ...box([]), ...(colour === undefined ? {} : { colour }) }]);
      return (await pixelsOf(drawn.png)).at(240, 450);
    };
    expect(await lineOf(0)).toEqual(await lineOf());
    expect(await lineOf(3)).not.toEqual(await lineOf());
  });

  it('draws the text of labels, each in its own letters', async () => {
    const image = await ground(320, 240);
    const draw = async (label: string) => (await pixelsOf((await drawBoxes(image, [box([label])])).png)).data;
    const [walk, sit, blank] = [await draw('walk 0.92'), await draw('sit! 0.87'), await draw(' ')];
    expect(whites(blank)).toBe(0);
    expect(whites(walk)).toBeGreaterThan(100);
    expect(whites(sit)).toBeGreaterThan(100);
    expect(walk.equals(sit)).toBe(false);
  });

  it('treats names that look like markup as text', async () => {
    const image = await ground(320, 240);
    const plain = await drawBoxes(image, [box(['a b'])]);
    const odd = await drawBoxes(image, [box(['<svg>&amp;"\'/></svg>'])], { caption: '</svg><rect/>' });
    expect(whites((await pixelsOf(odd.png)).data)).toBeGreaterThan(whites((await pixelsOf(plain.png)).data));
  });

  it('draws ground truth dashed, detections solid, and each person in one colour', async () => {
    const image = await ground(320, 240);
    const gaps = async (kind: DrawnBox['kind']) => {
      const { at } = await pixelsOf((await drawBoxes(image, [box([], kind)])).png);
      return Array.from({ length: 160 }, (_, i) => at(280 + i, 360)).filter(([r, , b]) => r - b < 60).length;
    };
    expect(await gaps('detection')).toBe(0);
    expect(await gaps('truth')).toBeGreaterThan(30);

    const moved = { ...box([], 'truth'), box: [0.26, 0.5, 0.52, 0.75] };
    const other = { ...box([]), box: [0.7, 0.1, 0.8, 0.4] };
    const { at } = await pixelsOf((await drawBoxes(image, [box([]), other, moved])).png);
    const first = at(240, 450);
    const colours = Array.from({ length: 60 }, (_, i) => at(499, 420 + i));
    expect(colours).toContainEqual(first);
    expect(at(672, 200)).not.toEqual(first);
  });

  it('adds a bar with the caption', async () => {
    const image = await ground(320, 240);
    const drawn = await drawBoxes(image, [], { caption: 'second 902' });
    expect(drawn.width).toBe(960);
    expect(drawn.height).toBeGreaterThan(740);
    const { data, at } = await pixelsOf(drawn.png);
    expect(whites(data)).toBeGreaterThan(100);
    expect(at(480, 719)).toEqual([128, 128, 128]);
    expect(Math.max(...at(950, 725))).toBeLessThan(40);
  });

  it('draws boxes beyond the image at its edge and leaves out boxes that are not finite', async () => {
    const image = await ground(320, 240);
    const beyond = await drawBoxes(image, [{ box: [-3, -1, 5, 2], labels: ['walk'], kind: 'detection' }]);
    const { at } = await pixelsOf(beyond.png);
    expect(at(0, 600)).not.toEqual([128, 128, 128]);
    const none = await drawBoxes(image, [
      { box: [0.1, Number.NaN, 0.5, 0.5], labels: ['walk'], kind: 'detection' },
    ]);
    expect((await pixelsOf(none.png)).data.every((value) => value === 128)).toBe(true);
  });

  it('shortens long labels and long lists', async () => {
    const labels = Array.from({ length: 80 }, (_, i) =>
      `a very long name of an action, number ${i}, `.repeat(4),
    );
    const drawn = await drawBoxes(await ground(320, 240), [box(labels)]);
    const { at } = await pixelsOf(drawn.png);
    expect(at(5, 715)).toEqual([128, 128, 128]);
  });

  it('draws the same image each time', async () => {
    const image = await ground(200, 150);
    const boxes = [box(['walk 0.9']), { ...box(['stand']), box: [0.3, 0.5, 0.55, 0.8] }];
    expect((await drawBoxes(image, boxes)).png.equals((await drawBoxes(image, boxes)).png)).toBe(true);
  });

  it('names an image that cannot be decoded', async () => {
    await expect(drawBoxes('no/such.jpg', [])).rejects.toThrow(/^no\/such\.jpg: the image to draw on/);
    await expect(drawBoxes(Buffer.from('no image'), [])).rejects.toThrow(DataError);
  });
});
