/** @file Tests of frame numbers and of decoding. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { cmykJpeg, cmykTiff } from '../../../test/support/images.js';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { drawBoxes } from '../../drawing/draw_boxes.js';
import { type ClipSource, loadClip } from './clip.js';
import { decodeImage, getSequence } from './frames.js';
import type { TransformSettings } from './transforms.js';

describe('getSequence', () => {
  it('returns one frame per step, rising, inside the video', () => {
    const numbers = [
      fc.nat(3000),
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 900 }),
    ];
    fc.assert(
      fc.property(
        ...(numbers as [(typeof numbers)[0], (typeof numbers)[0], (typeof numbers)[0], (typeof numbers)[0]]),
        (center, pairs, rate, numFrames) => {
          const sequence = getSequence(center, pairs * rate, rate, numFrames);
          expect(sequence).toHaveLength(2 * pairs);
          expect(sequence.every((frame) => frame >= 0 && frame < numFrames)).toBe(true);
          expect(sequence.every((frame, i) => i === 0 || frame >= sequence[i - 1])).toBe(true);
          if (center < numFrames) expect(sequence[pairs]).toBe(center);
        },
      ),
    );
  });
});

const [width, height] = [6, 4];
const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 53) & 255);
const source = () => sharp(rgb, { raw: { width, height, channels: 3 } });

async function decode(name: string, bytes: Uint8Array) {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, bytes);
  return decodeImage(path, 'video v, second 902');
}

describe('decodeImage', () => {
  it('reads RGB', async () => {
    const image = await decode('a.png', await source().png().toBuffer());
    expect([image.height, image.width]).toEqual([height, width]);
    expect([...image.data]).toEqual([...rgb]);
  });

  it('drops alpha without blending', async () => {
    const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
      i % 4 === 3 ? (i * 5) & 255 : rgb[(i >> 2) * 3 + (i % 4)],
    );
    const png = await sharp(rgba, { raw: { width, height, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await decode('a.png', png)).data]).toEqual([...rgb]);
  });

  it('makes three channels of grey, with and without alpha', async () => {
    const grey = Uint8Array.from({ length: width * height }, (_, i) => i * 9);
    const png = await sharp(grey, { raw: { width, height, channels: 1 } })
      .png()
      .toBuffer();
    expect([...(await decode('a.png', png)).data]).toEqual(
      [...grey].flatMap((value) => [value, value, value]),
    );
    const both = Uint8Array.from({ length: width * height * 2 }, (_, i) => (i % 2 ? 77 : grey[i >> 1]));
    const withAlpha = await sharp(both, { raw: { width, height, channels: 2 } })
      .png()
      .toBuffer();
    expect([...(await decode('a.png', withAlpha)).data]).toEqual(
      [...grey].flatMap((value) => [value, value, value]),
    );
  });

  it('cuts 16 bits to 8', async () => {
    const wide = Uint16Array.from(rgb, (value, i) => value * 256 + ((i * 41) & 255));
    const png = await sharp(wide, { raw: { width, height, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expect([...(await decode('a.png', png)).data]).toEqual([...rgb]);
  });

  it('applies the EXIF orientation', async () => {
    const turned = await source().withMetadata({ orientation: 6 }).png().toBuffer();
    const image = await decode('a.png', turned);
    expect([image.height, image.width]).toEqual([width, height]);
    // A quarter turn clockwise: the first row of the result is the first column of the file, from the bottom up.
    const column = Array.from({ length: height }, (_, y) => [
      ...rgb.subarray((height - 1 - y) * width * 3).subarray(0, 3),
    ]);
    expect([...image.data.subarray(0, height * 3)]).toEqual(column.flat());
  });

  it('ignores colour profiles', async () => {
    const png = await source().png().toBuffer();
    const tagged = await source().withIccProfile('p3').png().toBuffer();
    const stored = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer();
    expect((await sharp(tagged).metadata()).hasProfile).toBe(true);
    expect([...(await decode('a.png', tagged)).data]).toEqual([...stored]);
    expect([...stored]).not.toEqual([...(await decode('b.png', png)).data]);
  });

  it.each([
    ['CMYK', cmykJpeg.bytes, cmykJpeg.firstRow, 23056],
    ['CMYK without the mark of Adobe', cmykJpeg.withoutMark, cmykJpeg.firstRow, 23056],
    [
      'YCCK',
      cmykJpeg.asYcck,
      [
        155, 1, 135, 155, 1, 145, 154, 1, 139, 151, 1, 134, 33, 255, 144, 33, 253, 142, 28, 255, 132, 34, 254,
        147,
      ],
      23056,
    ],
  ])('reads %s as cv2 does', async (_, jpeg, row, sum) => {
    const { data } = await decode('a.jpg', jpeg);
    expect([...data.subarray(0, 24)]).toEqual(row);
    expect([...data.subarray(7 * 24)]).toEqual(row);
    expect(data.reduce((total, value) => total + value, 0)).toBe(sum);
  });

  it('reads CMYK in a TIFF file as cv2 does, with ink that takes the light away', async () => {
    const cmyk = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * 37) & 255);
    const tiff = cmykTiff(cmyk, width, height);
    const light = (i: number) => Math.floor(((255 - cmyk[i]) * (255 - cmyk[(i & ~3) + 3])) / 255);
    const expected = [...cmyk.keys()].filter((i) => i % 4 < 3).map(light);
    expect([...(await decode('a.tif', tiff)).data]).toEqual(expected);
  });

  it('reads a file that is larger than one read', async () => {
    const pixels = Uint8Array.from({ length: 300 * 200 * 3 }, (_, i) => (i * i * 7 + (i >> 4)) & 255);
    const png = await sharp(pixels, { raw: { width: 300, height: 200, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer();
    expect(png.length).toBeGreaterThan(2 ** 16);
    expect(Buffer.from((await decode('a.png', png)).data).equals(pixels)).toBe(true);
  });
});

describe('a clip of images that are stored in different ways', () => {
  const size = 8;
  const pixels = Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * 29) & 255);
  const grey = Uint8Array.from({ length: size * size }, (_, i) => i * 4);
  const png = (data: Uint8Array | Uint16Array, channels: 1 | 2 | 3 | 4) =>
    sharp(data, { raw: { width: size, height: size, channels } });
  const withAlpha = Uint8Array.from({ length: size * size * 4 }, (_, i) =>
    i % 4 === 3 ? (i * 5) & 255 : pixels[(i >> 2) * 3 + (i % 4)],
  );
  // The four colours of a palette.
  const few = Uint8Array.from(
    { length: size * size * 3 },
    (_, i) => ((((i / 3) | 0) % 4) * 60 + (i % 3)) & 255,
  );
  const wide = Uint16Array.from(pixels, (value, i) => value * 256 + ((i * 41) & 255));
  const threeTimes = [...grey].flatMap((value) => [value, value, value]);

  async function kinds(): Promise<Record<string, [Uint8Array, readonly number[]]>> {
    return {
      rgb: [await png(pixels, 3).png().toBuffer(), [...pixels]],
      'cmyk.jpg': [cmykJpeg.bytes, cmykJpeg.firstRow],
      grey: [await png(grey, 1).toColourspace('b-w').png().toBuffer(), threeTimes],
      alpha: [await png(withAlpha, 4).png().toBuffer(), [...pixels]],
      palette: [await png(few, 3).png({ palette: true, colours: 4, dither: 0 }).toBuffer(), [...few]],
      wide: [await png(wide, 3).toColourspace('rgb16').png().toBuffer(), [...pixels]],
      turned: [await png(pixels, 3).withMetadata({ orientation: 3 }).png().toBuffer(), reversedPixels()],
    };
  }

  /** A half turn. */
  function reversedPixels(): number[] {
    return Array.from({ length: size * size }, (_, i) => [
      ...pixels.subarray(3 * (63 - i), 3 * (64 - i)),
    ]).flat();
  }

  it('has the right colours in each of them, in any order', async () => {
    const folder = temporaryFolder();
    const files = await kinds();
    for (const [name, [bytes]] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
    const names = Object.keys(files);
    for (const first of names) {
      const order = [first, ...names.filter((name) => name !== first)];
      const info = { clipId: 0, videoIndex: 0, videoName: 'v', second: 902 };
      const source: ClipSource = {
        info,
        paths: order.map((name) => join(folder, name)),
        boxes: [],
        labels: [],
        numClasses: 1,
      };
      const settings = { mean: [0, 0, 0], std: [1, 1, 1], bgr: false } as unknown as TransformSettings;
      const clip = await loadClip(source, settings, {
        minScale: size,
        flip: false,
        jitter: [],
        lighting: null,
      });
      for (const [t, name] of order.entries()) {
        const expected = files[name][1];
        const start = t * size * size * 3;
        expect([name, ...clip.frames.subarray(start, start + expected.length)]).toEqual([name, ...expected]);
      }
    }
  });

  it('is drawn in the same colours', async () => {
    const folder = temporaryFolder();
    for (const [name, [bytes, expected]] of Object.entries(await kinds())) {
      writeFileSync(join(folder, name), bytes);
      const { png: drawn } = await drawBoxes(join(folder, name), [], { scale: 1 });
      const data = await sharp(drawn).raw().toBuffer();
      expect([name, ...data.subarray(0, expected.length)]).toEqual([name, ...expected]);
    }
  });
});
