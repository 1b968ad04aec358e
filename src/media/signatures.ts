/** @file Signatures: the first bytes by which a file's format is recognised, whatever its name. */
import type { ByteSource } from '../files/file_bytes.js';

/** Formats that frames may have. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'tiff' | 'gif' | 'avif';

type Group = 'image' | 'unsupported image' | 'stand-in' | 'archive' | 'document' | 'data' | 'sound' | 'video';

export interface FileFormat {
  readonly id: string;
  readonly group: Group;
  /** Name with its article, such as "a BMP image"; `{}` stands for what the file should be. */
  readonly name: string;
}

/** Whether a file begins like this format; `head` has one letter for each byte. */
export type Test = (head: string) => boolean;

export const begins =
  (...starts: readonly string[]): Test =>
  (head) =>
    starts.some((start) => head.startsWith(start));
const matches =
  (pattern: RegExp): Test =>
  (head) =>
    pattern.test(head);
const riff =
  (form: string): Test =>
  (head) =>
    head.startsWith('RIFF') && head.startsWith(form, 8);
/** A file of the MP4 family with one of these brands; without brands, any file of the family. */
const mp4 =
  (...brands: readonly string[]): Test =>
  (head) =>
    head.startsWith('ftyp', 4) && (brands.length === 0 || brands.some((brand) => head.startsWith(brand, 8)));

/** An image of the HEIF family, which names its codec among its brands. */
const heif =
  (...brands: readonly string[]): Test =>
  (head) =>
    mp4('mif1', 'msf1', 'mif2')(head) && brands.some((brand) => head.slice(8, HEIF_BRANDS).includes(brand));
/** Bytes that may hold the brands. */
const HEIF_BRANDS = 40;

/** Icons and cursors: a kind and a number of images, neither of them zero. */
const isIcon: Test = (head) =>
  (head.startsWith('\0\0\x01\0') || head.startsWith('\0\0\x02\0')) &&
  head.length > 22 &&
  head.charCodeAt(4) > 0 &&
  head[5] === '\0' &&
  head[9] === '\0' &&
  head.slice(20, 22) === '\0\0';

/** TGA has no signature, but a header of small numbers that fit each other. */
const isTga: Test = (head) => {
  const [, map, kind] = [...head.slice(0, 3)].map((letter) => letter.charCodeAt(0));
  const number = (at: number) => head.charCodeAt(at) + 256 * head.charCodeAt(at + 1);
  const isKind =
    map === 0
      ? [2, 3, 10, 11].includes(kind) && head.slice(3, 8) === '\0\0\0\0\0'
      : map === 1 && [1, 9].includes(kind);
  return (
    isKind &&
    head.length > 18 &&
    number(12) > 0 &&
    number(14) > 0 &&
    [8, 15, 16, 24, 32].includes(head.charCodeAt(16))
  );
};

/** Some raw images begin like other TIFF files, and only the name of the file tells them apart. */
export const RAW_IMAGE: FileFormat = {
  id: 'raw',
  group: 'unsupported image',
  name: 'a raw image of a camera',
};

/** Known formats. The first one that fits counts, so specific tests stand before general ones. */
const FORMATS: readonly (readonly [id: string, group: Group, name: string, test: Test])[] = [
  ['jpeg', 'image', 'a JPEG image', begins('\xff\xd8\xff')],
  ['png', 'image', 'a PNG image', begins('\x89PNG')],
  ['webp', 'image', 'a WebP image', riff('WEBP')],
  [
    RAW_IMAGE.id,
    RAW_IMAGE.group,
    RAW_IMAGE.name,
    (head) => /^(?:II\*\0[\s\S]{4}CR|IIU\0|IIRO|IIRS|MMOR|FUJIFILMCCD-RAW)/.test(head) || mp4('crx ')(head),
  ],
  ['tiff', 'image', 'a TIFF image', begins('II*\0', 'MM\0*', 'II+\0', 'MM\0+')],
  ['gif', 'image', 'a GIF image', begins('GIF8')],
  ['avif', 'image', 'an AVIF image', (head) => mp4('avif', 'avis')(head) || heif('avif', 'avis')(head)],

  // The names of videos may begin with these letters.
  [
    'bmp',
    'unsupported image',
    'a BMP image',
    (head) => head.startsWith('BM') && head.slice(2, 14).includes('\0'),
  ],
  ['jp2', 'unsupported image', 'a JPEG 2000 image', begins('\0\0\0\x0cjP', '\xff\x4f\xff\x51')],
  ['jxl', 'unsupported image', 'a JPEG XL image', begins('\xff\x0a', '\0\0\0\x0cJXL')],
  ['heic', 'unsupported image', 'a HEIC image', mp4('hei', 'hev', 'mif', 'msf1')],
  ['psd', 'unsupported image', 'a Photoshop image', begins('8BPS')],
  ['pnm', 'unsupported image', 'a PPM or PGM image', matches(/^P[1-7]\s/)],
  ['ico', 'unsupported image', 'an icon or cursor (ICO)', isIcon],
  ['qoi', 'unsupported image', 'a QOI image', begins('qoif')],
  ['dds', 'unsupported image', 'a DDS texture', begins('DDS ')],
  ['sgi', 'unsupported image', 'an SGI image', begins('\x01\xda\0', '\x01\xda\x01')],
  ['ras', 'unsupported image', 'a Sun raster image', begins('\x59\xa6\x6a\x95')],
  ['pcx', 'unsupported image', 'a PCX image', begins('\x0a\x05\x01', '\x0a\x03\x01', '\x0a\x02\x01')],
  ['xbm', 'unsupported image', 'an XBM image', matches(/^\s*#define \w+_width /)],
  ['xpm', 'unsupported image', 'an XPM image', begins('/* XPM */')],
  ['hdr', 'unsupported image', 'a Radiance HDR image', begins('#?RADIANCE', '#?RGBE')],
  ['pfm', 'unsupported image', 'a PFM image', matches(/^P[Ff]\s/)],
  ['fits', 'unsupported image', 'a FITS image', begins('SIMPLE  =')],
  ['dicom', 'unsupported image', 'a DICOM image', (head) => head.startsWith('DICM', 128)],
  ['xcf', 'unsupported image', 'a GIMP image', begins('gimp xcf')],
  ['djvu', 'unsupported image', 'a DjVu document', begins('AT&TFORM')],
  ['jxr', 'unsupported image', 'a JPEG XR image', begins('II\xbc')],
  ['wmf', 'unsupported image', 'a WMF drawing', begins('\xd7\xcd\xc6\x9a')],
  ['bpg', 'unsupported image', 'a BPG image', begins('BPG\xfb')],
  ['eps', 'unsupported image', 'a PostScript drawing', begins('%!PS', '\xc5\xd0\xd3\xc6')],
  ['exr', 'unsupported image', 'an OpenEXR image', begins('\x76\x2f\x31\x01')],
  ['svg', 'unsupported image', 'an SVG drawing', matches(/^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg/is)],

  [
    'git-lfs',
    'stand-in',
    'a Git LFS pointer: the {} itself was not downloaded',
    begins('version https://git-lfs'),
  ],
  [
    'git-annex',
    'stand-in',
    'a git-annex pointer: the {} itself was not downloaded',
    begins('/annex/objects/'),
  ],
  [
    'html',
    'stand-in',
    'a web page (HTML), which a server sent in place of the {}',
    matches(/^\s*(<!--.*?-->\s*)?(<!doctype html|<html|<head)/is),
  ],
  [
    'xml',
    'stand-in',
    'an XML text, which a server may have sent in place of the {}',
    matches(/^\s*(<\?xml|<error)/i),
  ],
  [
    'json',
    'stand-in',
    'a JSON text, which a server may have sent in place of the {}',
    matches(/^\s*[{[]\s*["{[\]}]/),
  ],
  [
    'appledouble',
    'stand-in',
    'a macOS file that accompanies another one (AppleDouble)',
    begins('\0\x05\x16\x07'),
  ],

  [
    'archive',
    'archive',
    'an archive or a compressed file',
    begins('PK\x03\x04', '\x1f\x8b', '7z\xbc\xaf', 'Rar!', 'BZh', '\xfd7zXZ', '\x28\xb5\x2f\xfd'),
  ],
  ['pdf', 'document', 'a PDF document', begins('%PDF')],
  ['utf16', 'document', 'a text in UTF-16', begins('\xff\xfe', '\xfe\xff')],
  ['numpy', 'data', 'a NumPy array', begins('\x93NUMPY')],
  ['hdf5', 'data', 'an HDF5 file', begins('\x89HDF')],
  ['sqlite', 'data', 'an SQLite database', begins('SQLite format 3')],
  ['elf', 'data', 'a program', begins('\x7fELF')],
  ['mp3', 'sound', 'an MP3 sound file', begins('ID3')],
  ['flac', 'sound', 'a FLAC sound file', begins('fLaC')],
  ['wave', 'sound', 'a WAVE sound file', riff('WAVE')],

  ['mp4', 'video', 'a video', mp4()],
  ['avi', 'video', 'a video', riff('AVI ')],
  ['matroska', 'video', 'a video', begins('\x1a\x45\xdf\xa3')],
  ['flv', 'video', 'a video', begins('FLV\x01')],
  ['mpeg', 'video', 'a video', begins('\0\0\x01\xba')],
  ['y4m', 'video', 'a video', begins('YUV4MPEG2')],
  ['tga', 'unsupported image', 'a TGA image', isTga],
];

/** The format of a file that begins with these bytes, or null if it is unknown. */
export function formatOf(head: Buffer): FileFormat | null {
  const text = head.toString('latin1');
  const found = FORMATS.find(([, , , test]) => test(text));
  return found ? { id: found[0], group: found[1], name: found[2] } : null;
}

/** Images, and the raw images that begin like TIFF. */
const IMAGES = FORMATS.filter(([id, group]) => group === 'image' || id === RAW_IMAGE.id);
/** Bytes that the tests of images look at. */
const IMAGE_HEAD = HEIF_BRANDS;

/** The image format of a file, or null if it is none of those that frames may have. */
export function imageFormat(bytes: ByteSource): ImageFormat | null {
  const head = String.fromCharCode(...Array.from({ length: IMAGE_HEAD }, (_, i) => bytes.at(i)));
  const found = IMAGES.find(([, , , test]) => test(head));
  return found?.[1] === 'image' ? (found[0] as ImageFormat) : null;
}
