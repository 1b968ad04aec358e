/** @file Tests of sizes read from headers: every kind of file against what sharp says of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary_files.js';
import { readImageSize } from './image_size.js';

const image = () => sharp({ create: { width: 50, height: 30, channels: 3, background: 'teal' } });

describe('readImageSize', () => {
  const files: [string, () => Sharp][] = [
    ['baseline JPEG', () => image().jpeg()],
    ['progressive JPEG', () => image().jpeg({ progressive: true })],
    ['JPEG with a colour profile', () => image().withIccProfile('p3').jpeg()],
    ['grey JPEG', () => image().greyscale().jpeg()],
    ['PNG', () => image().png()],
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((orientation): [string, () => Sharp] => [
      `JPEG with EXIF orientation ${orientation}`,
      () => image().withMetadata({ orientation }).jpeg(),
    ]),
  ];

  it.each(files)('returns the size of a %s', async (_, make) => {
    const path = join(temporaryFolder(), 'image');
    await make().toFile(path);
    const { info } = await sharp(path, { autoOrient: true }).raw().toBuffer({ resolveWithObject: true });
    expect(readImageSize(path, 'video v')).toEqual({ width: info.width, height: info.height });
  });

  it('finds the size after segments longer than one read', async () => {
    const path = join(temporaryFolder(), 'image.jpg');
    const jpeg = await image().jpeg().toBuffer();
    const comment = Buffer.alloc(60_000);
    comment.writeUInt32BE(0xfffe_ea5e);
    writeFileSync(path, Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]));
    expect(readImageSize(path, 'video v')).toEqual({ width: 50, height: 30 });
  });

  it('names files of unknown format, unreadable files and truncated files', async () => {
    const path = join(temporaryFolder(), 'image');
    const refused = expect.objectContaining({ name: 'DataError', message: expect.stringContaining(path) });
    expect(() => readImageSize(path, 'video v')).toThrow(refused);
    await image().webp().toFile(path);
    expect(() => readImageSize(path, 'video v')).toThrow(refused);
    const jpeg = await image().jpeg().toBuffer();
    // Up to the last byte of the size itself.
    const end = jpeg.indexOf(Buffer.of(0xff, 0xc0)) + 9;
    for (let length = 0; length < end; length += 7) {
      writeFileSync(path, jpeg.subarray(0, length));
      expect(() => readImageSize(path, 'video v')).toThrow(refused);
    }
  });
});
