/** @file Tests of recognising images that frames may not be, by their first bytes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from '../../test/support/temporary_files.js';
import { decodeImage } from '../data/clip/frames.js';
import { openInput } from '../detect/input.js';
import { formatOf } from './signatures.js';

const { at } = temporaryFiles();
const latin = (text: string) => Buffer.from(text, 'latin1');
const zeros = (count: number) => '\0'.repeat(count);

const IMAGES: [id: string, head: string, name: string, command: string][] = [
  ['bmp', `BM\x36\x30${zeros(40)}`, 'a BMP image', 'ffmpeg -i FILE'],
  ['tga', `\0\0\x02${zeros(9)}\x40\0\x40\0\x18\0${zeros(40)}`, 'a TGA image', 'ffmpeg -i FILE'],
  ['tga', `\0\0\x0a${zeros(9)}\x40\x01\xf0\0\x20\x08${zeros(40)}`, 'a TGA image', 'ffmpeg -i FILE'],
  [
    'ico',
    `\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0${zeros(9)}`,
    'an icon or cursor (ICO)',
    'magick FILE',
  ],
  ['pnm', 'P6\n64 64\n255\n\x01', 'a PPM or PGM image', 'ffmpeg -i FILE'],
  ['jp2', `\0\0\0\x0cjP  \r\n\x87\n`, 'a JPEG 2000 image', 'ffmpeg -i FILE'],
  ['jxl', '\xff\x0a\xfa\x1f', 'a JPEG XL image', 'ffmpeg -i FILE'],
  ['heic', '\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'a HEIC image', 'heif-convert FILE'],
  ['heic', '\0\0\0\x1cftypmif1\0\0\0\0mif1heic', 'a HEIC image', 'heif-convert FILE'],
  ['raw', 'II*\0\x10\0\0\0CR\x02\0', 'a raw image of a camera', 'darktable-cli FILE'],
  ['psd', '8BPS\0\x01', 'a Photoshop image', 'magick FILE'],
  ['exr', '\x76\x2f\x31\x01', 'an OpenEXR image', 'magick FILE'],
  ['hdr', '#?RADIANCE\n', 'a Radiance HDR image', 'magick FILE'],
  ['qoi', 'qoif\0\0\0\x40', 'a QOI image', 'ffmpeg -i FILE'],
  ['dds', 'DDS |\0\0\0', 'a DDS texture', 'magick FILE'],
  ['pcx', '\x0a\x05\x01\x08', 'a PCX image', 'ffmpeg -i FILE'],
  ['sgi', '\x01\xda\x01\x01', 'an SGI image', 'ffmpeg -i FILE'],
  ['dicom', `${zeros(128)}DICM`, 'a DICOM image', 'magick FILE'],
];

describe('an image that frames may not be', () => {
  it.each(IMAGES)('is recognised: %s', (id, head) => {
    expect(formatOf(latin(head))?.id).toBe(id);
  });

  it.each(IMAGES)('is named by the loader, with a command: %s', async (_, head, name, command) => {
    writeFileSync(at('frame_000001.jpg'), latin(head));
    const error = await decodeImage(at('frame_000001.jpg'), 'v').catch((thrown) => thrown);
    expect(error.message).toContain(
      `it is ${name}, which cannot be read; convert it to JPEG or PNG, e.g. with: ${command}`,
    );
  });

  it('is converted for detection, or named if it cannot be, also in a folder', async () => {
    const open = (path: string) =>
      openInput(path, { fps: 30, signal: new AbortController().signal }).catch((error) => error.message);
    writeFileSync(at('a.heic'), latin(IMAGES[7][1]));
    expect(await open(at('a.heic'))).toMatch(/--input: \S+a\.heic: it is a HEIC image.*heif-convert/);
    writeFileSync(at('a.bmp'), latin(IMAGES[0][1]));
    expect(await open(at('a.bmp'))).toMatch(/--input: \S+a\.bmp: it is a BMP image.*ffmpeg -i FILE/);
    mkdirSync(at('frames'));
    for (const i of [1, 2]) writeFileSync(at('frames', `${i}.bmp`), latin(IMAGES[0][1]));
    expect(await open(at('frames'))).toMatch(
      /no frames in this folder that can be read, but 2 images \(first: \S+1\.bmp\): it is a BMP image/,
    );
    writeFileSync(at('a.dng'), latin('II*\0\x08\0\0\0'));
    expect(await open(at('a.dng'))).toMatch(/a raw image of a camera/);
  });

  it('is not seen in other files', () => {
    expect(formatOf(latin('BM123,902,0.1,0.2'))).toBeNull();
    expect(formatOf(latin('\0\0\0\x1cftypmif1\0\0\0\0mif1avif'))?.id).toBe('avif');
    expect(formatOf(latin(`\0\0\x01\xb3${zeros(40)}`))?.id).not.toBe('tga');
    expect(formatOf(latin(zeros(60)))).toBeNull();
  });
});
