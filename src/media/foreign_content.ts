/** @file Files that hold something else than the picture or video that they should be, told by their first bytes. */

/** What a file should be. */
export type Expected = 'picture' | 'video';

/** Whether the first bytes of a file, one letter each, are those of a kind of file. */
type Test = (head: string) => boolean;

const begins =
  (...starts: readonly string[]): Test =>
  (head) =>
    starts.some((start) => head.startsWith(start));
const matches =
  (pattern: RegExp): Test =>
  (head) =>
    pattern.test(head);
/** A file of the family of MP4 with one of these brands. */
const brand =
  (...brands: readonly string[]): Test =>
  (head) =>
    head.slice(4, 8) === 'ftyp' && brands.some((name) => head.startsWith(name, 8));

const OTHER_PICTURES: readonly (readonly [string, Test])[] = [
  ['a BMP picture', begins('BM')],
  ['a JPEG 2000 picture', begins('\0\0\0\x0cjP', '\xff\x4f\xff\x51')],
  ['a JPEG XL picture', begins('\xff\x0a', '\0\0\0\x0cJXL')],
  ['a HEIC picture', brand('hei', 'hev', 'msf1')],
  ['a Photoshop picture', begins('8BPS')],
  ['a PPM or PGM picture', matches(/^P[1-6]\s/)],
  ['an OpenEXR picture', begins('\x76\x2f\x31\x01')],
  ['an SVG drawing', matches(/^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg/is)],
  ['a NumPy array', begins('\x93NUMPY')],
];

/** What to do about a file that has to be made again. */
const AGAIN: Record<Expected, string> = {
  picture: 'extract this frame again',
  video: 'copy or download the video again',
};

const LOOK = 'download it again, and see what it says';

/** Kinds of files with what to do; `{}` stands for what the file should be. */
const STAND_INS: readonly (readonly [string, Test, string])[] = [
  [
    'a Git LFS pointer, which stands for a {} that was not downloaded',
    begins('version https://git-lfs'),
    'run git lfs pull in its repository',
  ],
  [
    'a git-annex pointer, which stands for a {} that was not downloaded',
    begins('/annex/objects/'),
    'run git annex get in its repository',
  ],
  [
    'a web page (HTML), such as a server sends in place of a {}',
    matches(/^\s*(<!--.*?-->\s*)?(<!doctype html|<html|<head)/is),
    LOOK,
  ],
  ['an XML text, such as a server sends in place of a {}', matches(/^\s*(<\?xml|<error)/i), LOOK],
  ['a JSON text, such as a server sends in place of a {}', matches(/^\s*[{[]\s*["{[\]}]/), LOOK],
  [
    'a file of macOS that accompanies another one (AppleDouble)',
    begins('\0\x05\x16\x07'),
    'copy the {} itself, and leave names that begin with "._" out',
  ],
  [
    'an archive or a compressed file',
    begins('PK\x03\x04', '\x1f\x8b', '7z\xbc\xaf', 'Rar!', 'BZh', '\xfd7zXZ', '\x28\xb5\x2f\xfd'),
    'unpack it',
  ],
];

const isPdf = begins('%PDF');
const isVideo: Test = (head) =>
  head.slice(4, 8) === 'ftyp' ||
  (head.startsWith('RIFF') && head.startsWith('AVI ', 8)) ||
  begins('\x1a\x45\xdf\xa3', 'FLV\x01', '\0\0\x01\xba')(head);

/** Says what a file that cannot be read as `expected` is, by its first bytes, and what to do; null where they tell nothing. */
export function foreignContent(head: Buffer, expected: Expected): string | null {
  const again = AGAIN[expected];
  if (head.every((byte) => byte === 0))
    return `the file holds nothing but zeros, as after a crash or a full disk; ${again}`;
  const text = head.toString('latin1');
  const other = OTHER_PICTURES.find(([, test]) => test(text));
  if (other) {
    return expected === 'video'
      ? `it is ${other[0]}, not a video; ${again}`
      : `it is ${other[0]}, which cannot be read; convert it to JPEG or PNG; its name may stay, since the content decides`;
  }
  for (const [what, test, remedy] of STAND_INS) {
    if (test(text)) return `it is ${what}; ${remedy}`.replaceAll('{}', expected);
  }
  if (isPdf(text)) return `it is a PDF document; ${again}`;
  if (expected === 'picture' && isVideo(text))
    return 'it is a video; extract its frames with stmixer data prepare';
  if (!/^[\t\n\r\x20-\x7e]+$/.test(text)) return null;
  return `it is no ${NAMES[expected]} but a text that begins with ${JSON.stringify(text.slice(0, 40))}; ${again}`;
}

const NAMES: Record<Expected, string> = {
  picture: 'JPEG, PNG, WebP, TIFF, GIF or AVIF picture',
  video: 'video',
};
