/** @file Tests of sizes read from headers: every kind of file against what sharp says of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/ava_folder.js';
import { readPictureSize } from './image_size.js';

const picture = () => sharp({ create: { width: 50, height: 30, channels: 3, background: 'teal' } });

describe('readPictureSize', () => {
  const files: [string, () => Sharp][] = [
    ['baseline JPEG', () => picture().jpeg()],
    ['progressive JPEG', () => picture().jpeg({ progressive: true })],
    ['JPEG with a colour profile', () => picture().withIccProfile('p3').jpeg()],
    ['grey JPEG', () => picture().greyscale().jpeg()],
    ['PNG', () => picture().png()],
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((orientation): [string, () => Sharp] => [
      `JPEG with EXIF orientation ${orientation}`,
      () => picture().withMetadata({ orientation }).jpeg(),
    ]),
  ];

  it.each(files)('%s', async (_, make) => {
    const path = join(temporaryFolder(), 'picture');
    await make().toFile(path);
    const { info } = await sharp(path, { autoOrient: true }).raw().toBuffer({ resolveWithObject: true });
    expect(readPictureSize(path, 'video v')).toEqual({ width: info.width, height: info.height });
  });

  it('finds the size behind segments longer than what is read at once', async () => {
    const path = join(temporaryFolder(), 'picture.jpg');
    const jpeg = await picture().jpeg().toBuffer();
    const comment = Buffer.alloc(60_000);
    comment.writeUInt32BE(0xfffe_ea5e);
    writeFileSync(path, Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]));
    expect(readPictureSize(path, 'video v')).toEqual({ width: 50, height: 30 });
  });

  it('refuses what it does not know, cannot read, or is cut off, by name', async () => {
    const path = join(temporaryFolder(), 'picture');
    const refused = expect.objectContaining({ name: 'DataError', message: expect.stringContaining(path) });
    expect(() => readPictureSize(path, 'video v')).toThrow(refused);
    await picture().webp().toFile(path);
    expect(() => readPictureSize(path, 'video v')).toThrow(refused);
    const jpeg = await picture().jpeg().toBuffer();
    // Up to the last byte of the size itself.
    const end = jpeg.indexOf(Buffer.of(0xff, 0xc0)) + 9;
    for (let length = 0; length < end; length += 7) {
      writeFileSync(path, jpeg.subarray(0, length));
      expect(() => readPictureSize(path, 'video v')).toThrow(refused);
    }
  });
});
