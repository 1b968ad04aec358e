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
type Test = (head: string) => boolean;

const begins =
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

/** Known formats. The first one that fits counts, so specific tests stand before general ones. */
const FORMATS: readonly (readonly [id: string, group: Group, name: string, test: Test])[] = [
  ['jpeg', 'image', 'a JPEG image', begins('\xff\xd8\xff')],
  ['png', 'image', 'a PNG image', begins('\x89PNG')],
  ['webp', 'image', 'a WebP image', riff('WEBP')],
  ['tiff', 'image', 'a TIFF image', begins('II*\0', 'MM\0*', 'II+\0', 'MM\0+')],
  ['gif', 'image', 'a GIF image', begins('GIF8')],
  ['avif', 'image', 'an AVIF image', mp4('avif', 'avis', 'mif1')],

  ['bmp', 'unsupported image', 'a BMP image', begins('BM')],
  ['jp2', 'unsupported image', 'a JPEG 2000 image', begins('\0\0\0\x0cjP', '\xff\x4f\xff\x51')],
  ['jxl', 'unsupported image', 'a JPEG XL image', begins('\xff\x0a', '\0\0\0\x0cJXL')],
  ['heic', 'unsupported image', 'a HEIC image', mp4('hei', 'hev', 'msf1')],
  ['psd', 'unsupported image', 'a Photoshop image', begins('8BPS')],
  ['pnm', 'unsupported image', 'a PPM or PGM image', matches(/^P[1-6]\s/)],
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
];

/** The format of a file that begins with these bytes, or null if it is unknown. */
export function formatOf(head: Buffer): FileFormat | null {
  const text = head.toString('latin1');
  const found = FORMATS.find(([, , , test]) => test(text));
  return found ? { id: found[0], group: found[1], name: found[2] } : null;
}

const IMAGES = FORMATS.filter(([, group]) => group === 'image');
/** Bytes that the tests of images look at. */
const IMAGE_HEAD = 12;

/** The image format of a file, or null if it is none of those that frames may have. */
export function imageFormat(bytes: ByteSource): ImageFormat | null {
  const head = String.fromCharCode(...Array.from({ length: IMAGE_HEAD }, (_, i) => bytes.at(i)));
  const found = IMAGES.find(([, , , test]) => test(head));
  return found ? (found[0] as ImageFormat) : null;
}
