/** @file Tests of frame numbers and of decoding. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/ava_folder.js';
import { decodePicture, getSequence, readPixelFormat } from './frames.js';

describe('getSequence', () => {
  it('has one frame per step, rising, inside the video', () => {
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
  return decodePicture(path, await readPixelFormat(path, 'video v, second 902'), 'video v, second 902');
}

describe('decodePicture', () => {
  it('reads RGB', async () => {
    const picture = await decode('a.png', await source().png().toBuffer());
    expect([picture.height, picture.width]).toEqual([height, width]);
    expect([...picture.data]).toEqual([...rgb]);
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
    const picture = await decode('a.png', turned);
    expect([picture.height, picture.width]).toEqual([width, height]);
    // A quarter turn clockwise: the first row of the result is the first column of the file, from the bottom up.
    const column = Array.from({ length: height }, (_, y) => [
      ...rgb.subarray((height - 1 - y) * width * 3).subarray(0, 3),
    ]);
    expect([...picture.data.subarray(0, height * 3)]).toEqual(column.flat());
  });

  it('ignores colour profiles', async () => {
    const png = await source().png().toBuffer();
    const tagged = await source().withIccProfile('p3').png().toBuffer();
    const stored = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer();
    expect((await sharp(tagged).metadata()).hasProfile).toBe(true);
    expect([...(await decode('a.png', tagged)).data]).toEqual([...stored]);
    expect([...stored]).not.toEqual([...(await decode('b.png', png)).data]);
  });

  it('reads CMYK as cv2 does', async () => {
    // 8×8, two colours; the values are what cv2.imread gives for these bytes.
    const jpeg = Buffer.from(
      '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFa' +
        'UGBKUVJP/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABcAAAMBAAAAAAAAAAAAAAAAAAAEBQf/xAAgEAABAgUFAAAAAAAAAAAAAAAAB0UE' +
        'BkODwkSBgsHD/9oADgRDAE0AWQBLAAA/AHlUa72BPkvW8MgRh5sehocBU27P/9k=',
      'base64',
    );
    const { data } = await decode('a.jpg', jpeg);
    const row = [
      220, 36, 1, 214, 30, 1, 221, 34, 3, 214, 33, 1, 46, 167, 255, 47, 166, 253, 51, 171, 255, 45, 164, 254,
    ];
    expect([...data.subarray(0, 24)]).toEqual(row);
    expect([...data.subarray(7 * 24)]).toEqual(row);
    expect(data.reduce((sum, value) => sum + value, 0)).toBe(23056);
  });

  it('names what is broken', async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i * 7) & 255);
    const jpeg = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    const cut = jpeg.subarray(0, Math.floor(jpeg.length * 0.6));
    for (const [name, bytes] of [
      ['cut.jpg', cut],
      ['empty.jpg', new Uint8Array()],
      ['text.jpg', Buffer.from('not a picture')],
    ] as const) {
      await expect(decode(name, bytes)).rejects.toThrow(
        expect.objectContaining({
          name: 'DataError',
          message: expect.stringMatching(
            new RegExp(`${name}: video v, second 902: the picture cannot be decoded \\(.+\\)`),
          ),
        }),
      );
    }
    const missing = join(temporaryFolder(), 'missing.jpg');
    await expect(decodePicture(missing, 'other', 'video v, second 902')).rejects.toThrow(
      /missing\.jpg: video v, second 902: the file is missing/,
    );
  });
});
